-- undecided: its last attempt failed or was lost, and the job's saga has not said yet what becomes of the unit.
ALTER TABLE units DROP CONSTRAINT units_status_check;
ALTER TABLE units ADD CONSTRAINT units_status_check CHECK (status IN ('pending', 'leased', 'undecided', 'completed', 'failed', 'canceled'));
