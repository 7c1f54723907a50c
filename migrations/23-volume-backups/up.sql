-- How what uses a volume is held while it is backed up; none: what is backed up is a database, which goes on.
ALTER TABLE backup          ADD COLUMN hold TEXT CHECK (hold IN ('pause', 'stop'));
ALTER TABLE backup_schedule ADD COLUMN hold TEXT CHECK (hold IN ('pause', 'stop'));
