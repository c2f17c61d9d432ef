-- A page of outputs begins at a unit; a long job's log holds twenty events for each.
CREATE INDEX job_events_outputs ON job_events (job_id, ((body ->> 'unitIndex')::int)) WHERE kind = 'unitCompleted';
