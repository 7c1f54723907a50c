-- Commands that run in a container of their own. A row lives as long as its container may.
CREATE TABLE one_off (
    number  INTEGER PRIMARY KEY AUTOINCREMENT, -- in the name of its unit; never given twice
    app     INTEGER NOT NULL REFERENCES app (id),
    project INTEGER NOT NULL REFERENCES project (id),
    host    INTEGER NOT NULL CHECK (host BETWEEN 2 AND 254),
    UNIQUE (project, host)
) STRICT;

CREATE INDEX one_off_app ON one_off (app);

-- An address belongs to one container, whichever table it stands in.
CREATE TRIGGER address_is_free_of_one_offs BEFORE INSERT ON address
WHEN EXISTS (SELECT 1 FROM one_off WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a one-off container'); END;

CREATE TRIGGER replica_address_is_free_of_one_offs BEFORE INSERT ON replica
WHEN EXISTS (SELECT 1 FROM one_off WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a one-off container'); END;

CREATE TRIGGER one_off_address_is_free BEFORE INSERT ON one_off
WHEN EXISTS (SELECT 1 FROM address WHERE project = new.project AND host = new.host)
    OR EXISTS (SELECT 1 FROM replica WHERE project = new.project AND host = new.host)
BEGIN SELECT RAISE(ABORT, 'the address belongs to a release'); END;
