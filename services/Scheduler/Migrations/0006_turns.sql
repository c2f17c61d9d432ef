-- Whose turn it is: the job that was served longest ago, and in it the unit that was examined longest ago.
ALTER TABLE jobs ADD COLUMN last_leased_at timestamptz;
ALTER TABLE pending_units ADD COLUMN examined_at timestamptz;
DROP INDEX pending_units_parked;
CREATE INDEX pending_units_parked ON pending_units (job_id, examined_at, unit_index) WHERE state = 'parked';
