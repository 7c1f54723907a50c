-- Projects, apps, their deployments, hosts and addresses, and the tokens of the API.
-- Times are milliseconds since the Unix epoch, UTC.

PRAGMA application_id = 0x72767472; -- "rvtr": tells rivetr's files from other databases

-- One row about this installation.
CREATE TABLE instance (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    written_by        TEXT    NOT NULL, -- the newest rivetr that opened this file
    routes_generation INTEGER NOT NULL  -- grows with every change of the routes
) STRICT;

INSERT INTO instance (id, written_by, routes_generation) VALUES (1, '', 0);

CREATE TABLE project (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    slug      TEXT    NOT NULL UNIQUE,
    subnet    TEXT    NOT NULL UNIQUE,      -- 10.90.3.0/24
    last_host INTEGER NOT NULL DEFAULT 1,   -- the host number that was given last
    deleting  INTEGER NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1))
) STRICT;

-- `production`, `staging` and so on: what the apps of one have in common.
CREATE TABLE environment (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    project INTEGER NOT NULL REFERENCES project (id),
    slug    TEXT    NOT NULL,
    UNIQUE (project, slug)
) STRICT;

CREATE TABLE app (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    slug        TEXT    NOT NULL UNIQUE,
    project     INTEGER NOT NULL REFERENCES project (id),
    environment TEXT    NOT NULL,
    source      TEXT    NOT NULL CHECK (json_valid(source)),
    settings    TEXT    NOT NULL CHECK (json_valid(settings)),
    live        INTEGER REFERENCES address (deployment), -- the live release always has an address
    deleting    INTEGER NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1)),
    last_number INTEGER NOT NULL DEFAULT 0, -- of its deployments; never given twice
    created     INTEGER NOT NULL,
    FOREIGN KEY (project, environment) REFERENCES environment (project, slug),
    FOREIGN KEY (id, live) REFERENCES deployment (app, id)
) STRICT;

CREATE INDEX app_environment ON app (project, environment);
CREATE INDEX app_live ON app (live);

CREATE TABLE host (
    id        INTEGER PRIMARY KEY,
    name      TEXT    NOT NULL UNIQUE,
    app       INTEGER NOT NULL REFERENCES app (id),
    automatic INTEGER NOT NULL CHECK (automatic IN (0, 1))
) STRICT;

CREATE INDEX host_app ON host (app);
CREATE UNIQUE INDEX host_one_automatic ON host (app) WHERE automatic = 1;

CREATE TABLE deployment (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    app           INTEGER NOT NULL REFERENCES app (id),
    number        INTEGER NOT NULL CHECK (number >= 1),
    requested_by  TEXT    NOT NULL,
    settings      TEXT    NOT NULL CHECK (json_valid(settings)),
    commit_id     TEXT,
    image         TEXT,
    state         TEXT    NOT NULL,
    failed_during TEXT,
    failure       TEXT,
    created       INTEGER NOT NULL,
    ended         INTEGER,
    UNIQUE (app, number),
    UNIQUE (app, id),
    CHECK ((failure IS NULL) = (failed_during IS NULL)),
    CHECK ((ended IS NOT NULL) = (state IN ('live', 'failed', 'cancelled', 'superseded')))
) STRICT;

CREATE INDEX deployment_unfinished ON deployment (id) WHERE ended IS NULL;
-- One deployment of an app is at work at a time; others wait in `queued`.
CREATE UNIQUE INDEX deployment_at_work ON deployment (app) WHERE ended IS NULL AND state <> 'queued';

CREATE TABLE deployment_event (
    id         INTEGER PRIMARY KEY,
    deployment INTEGER NOT NULL REFERENCES deployment (id),
    state      TEXT    NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

CREATE INDEX deployment_event_deployment ON deployment_event (deployment);

CREATE TABLE address (
    deployment INTEGER PRIMARY KEY REFERENCES deployment (id),
    project    INTEGER NOT NULL REFERENCES project (id),
    host       INTEGER NOT NULL CHECK (host BETWEEN 2 AND 254),
    UNIQUE (project, host)
) STRICT;

CREATE TABLE token (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL,
    scope   TEXT    NOT NULL,
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the token
    created INTEGER NOT NULL,
    expires INTEGER,
    used    INTEGER
) STRICT;
