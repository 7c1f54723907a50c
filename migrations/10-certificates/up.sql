-- Certificates: those that are ordered for each name, and those that somebody has handed in.
CREATE TABLE acme_account (
    directory TEXT    NOT NULL PRIMARY KEY, -- the address of the server's directory
    key       BLOB    NOT NULL,             -- sealed for the place acme-account/<directory>
    created   INTEGER NOT NULL
) STRICT;

CREATE TABLE certificate (
    name        TEXT    NOT NULL PRIMARY KEY,
    wanted      INTEGER NOT NULL CHECK (wanted IN (0, 1)), -- whether a host needs it
    state       TEXT    NOT NULL CHECK (state IN ('queued', 'waiting-for-dns', 'ordering', 'valid', 'failed')),
    reason      TEXT,                       -- why it waits or failed
    next        INTEGER NOT NULL DEFAULT 0, -- when it is looked at again or renewed
    refused     INTEGER NOT NULL DEFAULT 0, -- failures in a row
    unreachable INTEGER NOT NULL DEFAULT 0,
    chain       TEXT,                       -- PEM; what is served until another one is there
    key         BLOB,                       -- sealed for the place certificate/<name>
    issuer      TEXT,
    not_before  INTEGER,
    not_after   INTEGER,
    revoking    TEXT,                       -- a chain that is revoked once another one is served
    CHECK ((chain IS NULL) = (key IS NULL) AND (chain IS NULL) = (issuer IS NULL)),
    CHECK ((chain IS NULL) = (not_before IS NULL) AND (chain IS NULL) = (not_after IS NULL)),
    CHECK (state <> 'valid' OR chain IS NOT NULL),
    CHECK (state NOT IN ('waiting-for-dns', 'failed') OR reason IS NOT NULL)
) STRICT;

CREATE TABLE own_certificate (
    name       TEXT    NOT NULL PRIMARY KEY, -- the first of its names: example.org, *.example.org
    names      TEXT    NOT NULL,             -- all of them, a JSON array
    chain      TEXT    NOT NULL,
    key        BLOB    NOT NULL,             -- sealed for the place own-certificate/<name>
    issuer     TEXT    NOT NULL,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    added      INTEGER NOT NULL
) STRICT;

-- Every order of the last day, for servers count them; also of names that are gone.
CREATE TABLE acme_order (
    name TEXT    NOT NULL,
    at   INTEGER NOT NULL
) STRICT;

CREATE INDEX acme_order_name ON acme_order (name, at);

-- What the proxy answers to the server while an order is under way.
CREATE TABLE acme_challenge (
    token  TEXT NOT NULL PRIMARY KEY,
    answer TEXT NOT NULL
) STRICT;
