-- Rows that were parked before turns were kept would never come up: no comparison with their examined_at is true.
UPDATE pending_units SET examined_at = ready_at WHERE examined_at IS NULL AND state = 'parked';
