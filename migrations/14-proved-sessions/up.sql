-- When the password was last shown in a session, if not only at its beginning.
ALTER TABLE session ADD COLUMN proved INTEGER;
