-- What the deletion of an app takes with it.

ALTER TABLE app ADD COLUMN delete_volumes INTEGER NOT NULL DEFAULT 0 CHECK (delete_volumes IN (0, 1));
