-- Containers that are neither a release nor a one-off command: databases, containers of services, jobs. A row lives as
-- long as its container may.
CREATE TABLE resident (
    unit    TEXT    PRIMARY KEY, -- the name of its unit without .service
    project INTEGER NOT NULL REFERENCES project (id),
    host    INTEGER NOT NULL CHECK (host BETWEEN 2 AND 254),
    UNIQUE (project, host)
) STRICT, WITHOUT ROWID;

-- An address belongs to one container, whichever table it stands in.
CREATE TRIGGER address_is_free_of_residents BEFORE INSERT ON address
WHEN EXISTS (SELECT 1 FROM resident WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a resident'); END;

CREATE TRIGGER replica_address_is_free_of_residents BEFORE INSERT ON replica
WHEN EXISTS (SELECT 1 FROM resident WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a resident'); END;

CREATE TRIGGER one_off_address_is_free_of_residents BEFORE INSERT ON one_off
WHEN EXISTS (SELECT 1 FROM resident WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a resident'); END;

CREATE TRIGGER resident_address_is_free BEFORE INSERT ON resident
WHEN EXISTS (SELECT 1 FROM address WHERE project = new.project AND host = new.host)
    OR EXISTS (SELECT 1 FROM replica WHERE project = new.project AND host = new.host)
    OR EXISTS (SELECT 1 FROM one_off WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a release or a command'); END;
