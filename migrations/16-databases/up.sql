-- Databases, and which apps are told of them.
CREATE TABLE database (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    slug          TEXT    NOT NULL,
    project       INTEGER NOT NULL REFERENCES project (id),
    kind          TEXT    NOT NULL,
    image         TEXT    NOT NULL, -- the reference; what runs is image_id
    image_id      TEXT,             -- once it was pulled
    config        TEXT,
    memory        TEXT,
    cpus          TEXT,
    port          TEXT,             -- of the host
    allow         TEXT,             -- who may come in by it
    user          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    password      BLOB    NOT NULL, -- sealed
    root_password BLOB    NOT NULL, -- sealed
    volume        TEXT    NOT NULL UNIQUE,
    stopped       INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1)),
    problem       TEXT,
    created       INTEGER NOT NULL,
    deleted       INTEGER,          -- from then on in the trash
    CHECK ((port IS NULL) = (allow IS NULL))
) STRICT;

-- In the trash a name is free for others.
CREATE UNIQUE INDEX database_slug ON database (slug) WHERE deleted IS NULL;
CREATE UNIQUE INDEX database_port ON database (port) WHERE deleted IS NULL;
CREATE INDEX database_project ON database (project);

CREATE TABLE database_link (
    app      INTEGER NOT NULL REFERENCES app (id),
    database INTEGER NOT NULL REFERENCES database (id),
    prefix   TEXT    NOT NULL,
    PRIMARY KEY (app, prefix),
    UNIQUE (app, database)
) STRICT, WITHOUT ROWID;

CREATE INDEX database_link_database ON database_link (database);
