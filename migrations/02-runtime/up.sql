-- What a deletion takes with it, and a build that takes nothing from the cache.

ALTER TABLE app ADD COLUMN delete_volumes INTEGER NOT NULL DEFAULT 0 CHECK (delete_volumes IN (0, 1));

ALTER TABLE deployment ADD COLUMN no_cache INTEGER NOT NULL DEFAULT 0 CHECK (no_cache IN (0, 1));
