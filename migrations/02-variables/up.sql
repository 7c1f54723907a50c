-- Variables of projects, environments and apps, and files that are mounted into containers.

CREATE TABLE variable (
    id          INTEGER PRIMARY KEY,
    project     INTEGER REFERENCES project (id) ON DELETE CASCADE,
    environment INTEGER REFERENCES environment (id) ON DELETE CASCADE,
    app         INTEGER REFERENCES app (id),
    key         TEXT    NOT NULL,
    value       BLOB    NOT NULL, -- sealed for env/<key>
    secret      INTEGER NOT NULL CHECK (secret IN (0, 1)),
    usage       TEXT    NOT NULL CHECK (usage IN ('run', 'build', 'both')),
    UNIQUE (project, key),
    UNIQUE (environment, key),
    UNIQUE (app, key),
    CHECK ((project IS NOT NULL) + (environment IS NOT NULL) + (app IS NOT NULL) = 1)
) STRICT;

CREATE TABLE mounted_file (
    app     INTEGER NOT NULL REFERENCES app (id),
    path    TEXT    NOT NULL,
    content BLOB    NOT NULL, -- sealed for file/<path>
    PRIMARY KEY (app, path)
) STRICT;
