-- Commands that apps run by a schedule, and what became of each run.
CREATE TABLE job (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    app      INTEGER NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    name     TEXT    NOT NULL,
    schedule TEXT    NOT NULL,
    zone     TEXT,    -- none: that of the machine
    command  TEXT    NOT NULL CHECK (json_valid(command)),
    place    TEXT    NOT NULL,
    seconds  INTEGER NOT NULL CHECK (seconds > 0), -- how long a run may take
    catch_up INTEGER NOT NULL,
    enabled  INTEGER NOT NULL,
    asked    INTEGER, -- since when a person waits for a run that was not seen yet
    created  INTEGER NOT NULL,
    UNIQUE (app, name)
) STRICT;

CREATE TABLE job_run (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job        INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    invocation TEXT    NOT NULL, -- systemd's name of the run, or the place in the journal of one that never began
    started_by TEXT    NOT NULL,
    began      INTEGER NOT NULL,
    status     INTEGER, -- the exit status of its process
    cancelled  INTEGER NOT NULL DEFAULT 0, -- a person asked for its end
    ended      INTEGER,
    outcome    TEXT,
    UNIQUE (job, invocation),
    CHECK ((ended IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX job_run_open ON job_run (job) WHERE ended IS NULL;

-- How far the journal was read for runs.
CREATE TABLE job_journal (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    cursor TEXT    NOT NULL
) STRICT;
