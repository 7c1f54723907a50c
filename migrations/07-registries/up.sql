-- Sign-ins at registries, one a host, and what a deployment is made of where there is no commit.
CREATE TABLE registry (
    host     TEXT    NOT NULL PRIMARY KEY, -- ghcr.io, registry.example.org:5000
    user     TEXT    NOT NULL,
    password BLOB    NOT NULL,             -- sealed for the place registry/<host>
    changed  INTEGER NOT NULL
) STRICT;

ALTER TABLE deployment ADD COLUMN digest TEXT; -- of an image in its registry, an archive, or instructions
