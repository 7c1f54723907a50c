-- The keys that open backups. The newest seals; each stays for what was sealed for it.
CREATE TABLE backup_key (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT    NOT NULL UNIQUE, -- age1…, public
    secret    BLOB    NOT NULL,        -- AGE-SECRET-KEY-1…, sealed
    created   INTEGER NOT NULL
) STRICT;

-- Storages that speak S3, where backups may lie.
CREATE TABLE backup_destination (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    endpoint   TEXT    NOT NULL,
    region     TEXT    NOT NULL,
    bucket     TEXT    NOT NULL,
    prefix     TEXT    NOT NULL,
    path_style INTEGER NOT NULL CHECK (path_style IN (0, 1)),
    ca         TEXT,
    key_id     TEXT    NOT NULL,
    secret     BLOB    NOT NULL, -- sealed
    created    INTEGER NOT NULL
) STRICT;

-- When something is backed up by itself.
CREATE TABLE backup_schedule (
    subject    TEXT    PRIMARY KEY, -- database/3, volume/rivetr-vol-blog-data
    at         TEXT    NOT NULL,    -- daily 03:00
    place      TEXT    NOT NULL,    -- disk, or the name of a destination
    keep_count INTEGER CHECK (keep_count > 0),
    keep_days  INTEGER CHECK (keep_days > 0),
    keep_bytes INTEGER CHECK (keep_bytes > 0),
    check_days INTEGER CHECK (check_days > 0),
    since      INTEGER NOT NULL     -- no backup is missed that should have been before
) STRICT, WITHOUT ROWID;

-- Backups outlive what they are of.
CREATE TABLE backup (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    subject   TEXT    NOT NULL,
    name      TEXT    NOT NULL, -- how it was called
    team      INTEGER NOT NULL,
    reason    TEXT    NOT NULL CHECK (reason IN ('asked', 'scheduled', 'before', 'imported')),
    place     TEXT    NOT NULL,
    form      TEXT    NOT NULL,
    recipient TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    moved     INTEGER,          -- when it came to this state
    plain     INTEGER,
    bytes     INTEGER,
    items     INTEGER,          -- tables or keys
    sha256    BLOB    CHECK (length(sha256) = 32),
    failure   TEXT,
    judged    INTEGER,          -- when it was restored to see whether it is good
    good      INTEGER CHECK (good IN (0, 1)),
    found     TEXT,
    CHECK ((state = 'done') = (sha256 IS NOT NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL))
) STRICT;

CREATE INDEX backup_subject ON backup (subject, id);
-- One at a time.
CREATE UNIQUE INDEX backup_under_way ON backup (subject) WHERE state IN ('queued', 'running');

CREATE TABLE restore (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    backup  INTEGER NOT NULL REFERENCES backup (id) ON DELETE CASCADE,
    target  TEXT    NOT NULL, -- check, in-place, or new/ and a name
    created INTEGER NOT NULL,
    swapped INTEGER NOT NULL DEFAULT 0 CHECK (swapped IN (0, 1)), -- what is restored has the new data
    ended   INTEGER,
    failure TEXT
) STRICT;

CREATE INDEX restore_backup ON restore (backup, id);
