-- A database that a restore made for itself: it is in no list and counts for no limit, unless somebody brings it back.
ALTER TABLE database ADD COLUMN scratch INTEGER NOT NULL DEFAULT 0 CHECK (scratch IN (0, 1));
