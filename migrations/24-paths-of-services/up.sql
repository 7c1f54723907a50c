-- A domain leads to an app or to a port of a container of a service, with the same rules. And what the proxy does with the
-- requests of a service.

CREATE TABLE domain_of_all (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    app            INTEGER REFERENCES app (id),
    service        INTEGER REFERENCES service (id),
    container      TEXT,                             -- the name in the compose file
    port           INTEGER CHECK (port BETWEEN 1 AND 65535),
    host           TEXT    NOT NULL,                 -- blog.example.org, *.example.org
    path           TEXT    NOT NULL,                 -- /, /api
    strip          INTEGER NOT NULL DEFAULT 0 CHECK (strip IN (0, 1)),
    redirect_to    TEXT,                             -- the host of another domain of the same app or service
    https_redirect INTEGER NOT NULL DEFAULT 1 CHECK (https_redirect IN (0, 1)),
    automatic      INTEGER NOT NULL DEFAULT 0 CHECK (automatic IN (0, 1)),
    UNIQUE (host, path),
    CHECK ((app IS NULL) <> (service IS NULL)),
    CHECK ((service IS NULL) = (container IS NULL) AND (service IS NULL) = (port IS NULL))
) STRICT;

INSERT INTO domain_of_all (id, app, host, path, strip, redirect_to, https_redirect, automatic)
    SELECT id, app, host, path, strip, redirect_to, https_redirect, automatic FROM domain;
INSERT INTO domain_of_all (service, container, port, host, path, https_redirect)
    SELECT service, container, port, host, '/', https_redirect FROM service_domain ORDER BY id;

DROP TABLE domain;
DROP TABLE service_domain;
ALTER TABLE domain_of_all RENAME TO domain;

CREATE INDEX domain_app ON domain (app);
CREATE INDEX domain_service ON domain (service);
CREATE UNIQUE INDEX domain_one_automatic ON domain (app) WHERE automatic = 1;

ALTER TABLE service ADD COLUMN traffic TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(traffic));

-- The first team is as old as the instance: as the first that was made in it, or as this is now.
UPDATE team SET created = (
    SELECT min(at) FROM (
        SELECT min(created) AS at FROM app UNION ALL
        SELECT min(created) FROM user UNION ALL
        SELECT unixepoch() * 1000
    )
) WHERE id = 1 AND created = 0;
