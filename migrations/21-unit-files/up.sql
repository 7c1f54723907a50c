-- Unit files that rivetr wrote, by the digests of their texts, and what was decided where somebody changed one by hand.
CREATE TABLE unit_file (
    path        TEXT NOT NULL PRIMARY KEY,           -- below the directories of units
    owner       TEXT NOT NULL,                       -- the folder of whose it is
    written     BLOB CHECK (length(written) = 32),   -- the text last written
    coming      BLOB CHECK (length(coming) = 32),    -- the text that is being written
    kept        TEXT CHECK (kept IN ('adopted', 'ignored')),
    kept_there  BLOB CHECK (length(kept_there) = 32),
    kept_wanted BLOB CHECK (length(kept_wanted) = 32)
) STRICT;

CREATE INDEX unit_file_owner ON unit_file (owner);
