-- Services: the containers of a compose file, with every state of its files that was applied.
CREATE TABLE service (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    slug           TEXT    NOT NULL UNIQUE,
    project        INTEGER NOT NULL REFERENCES project (id),
    salt           TEXT    NOT NULL,                 -- what the names of its secrets are made with
    live           INTEGER REFERENCES revision (id),
    unsettled      INTEGER NOT NULL DEFAULT 0 CHECK (unsettled IN (0, 1)), -- its units may be between two revisions
    stopped        INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1)),
    deleting       INTEGER NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1)),
    delete_volumes INTEGER NOT NULL DEFAULT 0 CHECK (delete_volumes IN (0, 1)),
    created        INTEGER NOT NULL
) STRICT;

CREATE TABLE revision (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    service INTEGER NOT NULL REFERENCES service (id),
    number  INTEGER NOT NULL,
    state   TEXT    NOT NULL CHECK (state IN ('queued', 'pulling', 'starting', 'live', 'failed', 'superseded')),
    back_to INTEGER,                                 -- the number of the revision whose files it has
    failure TEXT,
    parts   TEXT    NOT NULL CHECK (json_valid(parts)), -- its containers
    content BLOB    NOT NULL,                        -- files, units and secrets; sealed for revision/<service>/<number>
    created INTEGER NOT NULL,
    ended   INTEGER,
    UNIQUE (service, number)
) STRICT;

-- Names of units are unique: those of service a-b and container c, and of service a and container b-c, are the same.
CREATE TABLE service_unit (
    unit    TEXT    NOT NULL PRIMARY KEY,
    service INTEGER NOT NULL REFERENCES service (id)
) STRICT;

CREATE TABLE service_domain (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    service        INTEGER NOT NULL REFERENCES service (id),
    host           TEXT    NOT NULL UNIQUE,
    container      TEXT    NOT NULL,                 -- the name in the compose file
    port           INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    https_redirect INTEGER NOT NULL DEFAULT 1 CHECK (https_redirect IN (0, 1))
) STRICT;

-- Whose volumes may still be here.
CREATE TABLE former_service (
    slug TEXT    NOT NULL PRIMARY KEY,
    team INTEGER NOT NULL
) STRICT;
