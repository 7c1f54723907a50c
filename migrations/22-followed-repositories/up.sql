-- Services may follow a repository, and webhooks may be theirs.
ALTER TABLE service ADD COLUMN source TEXT CHECK (source IS NULL OR json_valid(source)); -- the repository; none: its files are handed in
ALTER TABLE service ADD COLUMN compose_file TEXT; -- its path in the repository; none: the usual names are tried
ALTER TABLE service ADD COLUMN variables BLOB; -- the text of an .env beside the repository's own; sealed for service-variables/<id>

-- A revision of a repository is a row before it is fetched: until then it has no content.
CREATE TABLE revision_anew (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    service       INTEGER NOT NULL REFERENCES service (id),
    number        INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('queued', 'fetching', 'pulling', 'building', 'starting', 'live', 'failed', 'superseded')),
    back_to       INTEGER,                                 -- the number of the revision whose files it has
    failure       TEXT,
    parts         TEXT    NOT NULL CHECK (json_valid(parts)), -- its containers
    content       BLOB,                                    -- files, units and secrets; sealed for revision/<service>/<number>
    commit_id     TEXT,                                    -- what of the repository it is
    warnings      TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(warnings)), -- what is not quite as its files say
    administrator INTEGER NOT NULL DEFAULT 0 CHECK (administrator IN (0, 1)), -- who asked for it may give what only they may
    created       INTEGER NOT NULL,
    ended         INTEGER,
    UNIQUE (service, number)
) STRICT;

INSERT INTO revision_anew (id, service, number, state, back_to, failure, parts, content, created, ended)
    SELECT id, service, number, state, back_to, failure, parts, content, created, ended FROM revision ORDER BY id;
DROP TABLE revision;
ALTER TABLE revision_anew RENAME TO revision;

-- Each webhook, and each delivery, is of an app or of a service.
CREATE TABLE webhook_anew (
    app      INTEGER REFERENCES app (id) ON DELETE CASCADE,
    service  INTEGER REFERENCES service (id) ON DELETE CASCADE,
    provider TEXT    NOT NULL,
    sealed   BLOB, -- the secret, sealed for webhook/<app>/<provider> or webhook/service-<service>/<provider>
    hash     BLOB CHECK (length(hash) = 32), -- SHA-256 of it, where it stands in the address
    watch    TEXT    NOT NULL CHECK (json_valid(watch)),
    created  INTEGER NOT NULL,
    UNIQUE (app, provider),
    UNIQUE (service, provider),
    CHECK ((app IS NULL) <> (service IS NULL)),
    CHECK ((sealed IS NULL) <> (hash IS NULL))
) STRICT;

INSERT INTO webhook_anew (app, provider, sealed, hash, watch, created)
    SELECT app, provider, sealed, hash, watch, created FROM webhook ORDER BY app, provider;
DROP TABLE webhook;
ALTER TABLE webhook_anew RENAME TO webhook;

CREATE TABLE webhook_delivery_anew (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    app        INTEGER REFERENCES app (id) ON DELETE CASCADE,
    service    INTEGER REFERENCES service (id) ON DELETE CASCADE,
    provider   TEXT    NOT NULL,
    name       TEXT,    -- the number that the provider gave it
    event      TEXT    NOT NULL,
    body       BLOB,    -- for a replay; none: it was refused, is a replay itself, or was too large to keep
    body_hash  BLOB CHECK (length(body_hash) = 32), -- SHA-256; none: it was refused, or is a replay
    head       TEXT,    -- the head of the branch that is followed, as the sender said
    received   INTEGER NOT NULL,
    verdict    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    deployment INTEGER REFERENCES deployment (id) ON DELETE SET NULL,
    revision   INTEGER REFERENCES revision (id) ON DELETE SET NULL,
    replay_of  INTEGER, -- may be gone by now
    CHECK ((app IS NULL) <> (service IS NULL))
) STRICT;

INSERT INTO webhook_delivery_anew
    (id, app, provider, name, event, body, body_hash, head, received, verdict, reason, deployment, replay_of)
    SELECT id, app, provider, name, event, body, body_hash, head, received, verdict, reason, deployment, replay_of
    FROM webhook_delivery ORDER BY id;
DROP TABLE webhook_delivery;
ALTER TABLE webhook_delivery_anew RENAME TO webhook_delivery;

CREATE INDEX webhook_delivery_app ON webhook_delivery (app, id);
CREATE INDEX webhook_delivery_service ON webhook_delivery (service, id);
CREATE INDEX webhook_delivery_name ON webhook_delivery (app, provider, name) WHERE body_hash IS NOT NULL;
CREATE INDEX webhook_delivery_body ON webhook_delivery (app, provider, body_hash) WHERE body_hash IS NOT NULL;
CREATE INDEX webhook_delivery_head ON webhook_delivery (app, head) WHERE head IS NOT NULL;
CREATE INDEX webhook_delivery_refused ON webhook_delivery (app, id) WHERE verdict = 'refused';
CREATE INDEX webhook_delivery_received ON webhook_delivery (received);
CREATE INDEX webhook_delivery_deployment ON webhook_delivery (deployment);
CREATE INDEX webhook_delivery_revision ON webhook_delivery (revision);
