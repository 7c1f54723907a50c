-- Webhooks of apps, and what was delivered to them.

CREATE TABLE webhook (
    app      INTEGER NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    provider TEXT    NOT NULL,
    sealed   BLOB, -- the secret, sealed for webhook/<app>/<provider>
    hash     BLOB CHECK (length(hash) = 32), -- SHA-256 of it, where it stands in the address
    watch    TEXT    NOT NULL CHECK (json_valid(watch)),
    created  INTEGER NOT NULL,
    PRIMARY KEY (app, provider),
    CHECK ((sealed IS NULL) <> (hash IS NULL))
) STRICT;

CREATE TABLE webhook_delivery (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    app        INTEGER NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    provider   TEXT    NOT NULL,
    name       TEXT,    -- the number that the provider gave it
    event      TEXT    NOT NULL,
    body       BLOB,    -- for a replay; none: it was refused, is a replay itself, or was too large to keep
    body_hash  BLOB CHECK (length(body_hash) = 32), -- SHA-256; none: it was refused, or is a replay
    head       TEXT,    -- the head of the app's branch, as the sender said
    received   INTEGER NOT NULL,
    verdict    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    deployment INTEGER REFERENCES deployment (id) ON DELETE SET NULL,
    replay_of  INTEGER -- may be gone by now
) STRICT;

CREATE INDEX webhook_delivery_app ON webhook_delivery (app, id);
CREATE INDEX webhook_delivery_name ON webhook_delivery (app, provider, name) WHERE body_hash IS NOT NULL;
CREATE INDEX webhook_delivery_body ON webhook_delivery (app, provider, body_hash) WHERE body_hash IS NOT NULL;
CREATE INDEX webhook_delivery_head ON webhook_delivery (app, head) WHERE head IS NOT NULL;
CREATE INDEX webhook_delivery_refused ON webhook_delivery (app, id) WHERE verdict = 'refused';
CREATE INDEX webhook_delivery_received ON webhook_delivery (received);
CREATE INDEX webhook_delivery_deployment ON webhook_delivery (deployment);
