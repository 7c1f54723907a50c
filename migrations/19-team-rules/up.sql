-- What a team asks of its members, and what its apps may use together; none: no limit.
ALTER TABLE team ADD COLUMN second_factor INTEGER NOT NULL DEFAULT 0 CHECK (second_factor IN (0, 1));
ALTER TABLE team ADD COLUMN apps_most   INTEGER CHECK (apps_most >= 0);
ALTER TABLE team ADD COLUMN memory_most TEXT; -- 2G
ALTER TABLE team ADD COLUMN cpus_most   TEXT; -- 1.5
