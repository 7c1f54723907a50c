-- Domains take the place of hosts: a host or all below one, a path, and what happens there besides serving. And what
-- the proxy does with the requests of an app.

CREATE TABLE domain (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    app            INTEGER NOT NULL REFERENCES app (id),
    host           TEXT    NOT NULL,                 -- blog.example.org, *.example.org
    path           TEXT    NOT NULL,                 -- /, /api
    strip          INTEGER NOT NULL DEFAULT 0 CHECK (strip IN (0, 1)),
    redirect_to    TEXT,                             -- the host of another domain of the same app
    https_redirect INTEGER NOT NULL DEFAULT 1 CHECK (https_redirect IN (0, 1)),
    automatic      INTEGER NOT NULL DEFAULT 0 CHECK (automatic IN (0, 1)),
    UNIQUE (host, path)
) STRICT;

INSERT INTO domain (app, host, path, automatic) SELECT app, name, '/', automatic FROM host ORDER BY id;

DROP TABLE host;

CREATE INDEX domain_app ON domain (app);
CREATE UNIQUE INDEX domain_one_automatic ON domain (app) WHERE automatic = 1;

ALTER TABLE app ADD COLUMN traffic TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(traffic));
