-- Releases that come back, apps of several containers, and apps that are stopped.

-- The deployment whose image and settings this one brings back. Its row may be gone: numbers are never given twice.
ALTER TABLE deployment ADD COLUMN back_to INTEGER CHECK (back_to >= 1);
-- Why rivetr itself asked for it.
ALTER TABLE deployment ADD COLUMN reason TEXT;

ALTER TABLE app ADD COLUMN wish TEXT NOT NULL DEFAULT 'run' CHECK (wish IN ('run', 'start', 'stop'));

-- The first container of a release has its row in `address`; every further one has it here, and so has, under the
-- number 0, the container that runs a command of the deployment.
CREATE TABLE replica (
    deployment INTEGER NOT NULL REFERENCES address (deployment),
    number     INTEGER NOT NULL CHECK (number = 0 OR number BETWEEN 2 AND 32),
    project    INTEGER NOT NULL REFERENCES project (id),
    host       INTEGER NOT NULL CHECK (host BETWEEN 2 AND 254),
    serves     INTEGER NOT NULL DEFAULT 0 CHECK (serves IN (0, 1)), -- requests are sent to it
    PRIMARY KEY (deployment, number),
    UNIQUE (project, host)
) STRICT, WITHOUT ROWID;

-- An address belongs to one container, whichever table it stands in.
CREATE TRIGGER address_is_free BEFORE INSERT ON address
WHEN EXISTS (SELECT 1 FROM replica WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a replica'); END;

CREATE TRIGGER replica_address_is_free BEFORE INSERT ON replica
WHEN EXISTS (SELECT 1 FROM address WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a release'); END;

-- The containers of releases.
CREATE VIEW container (deployment, number, host, serves) AS
SELECT deployment, 1, host, 1 FROM address
UNION ALL
SELECT deployment, number, host, serves FROM replica WHERE number > 1;
