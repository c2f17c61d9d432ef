-- A node that holds the overflow pool's key serves the overflow lane and nothing else. Its session says which it is, and it stays so.
ALTER TABLE nodes ADD COLUMN lane text NOT NULL DEFAULT 'fleet' CHECK (lane IN ('fleet', 'overflow'));

-- What overflow agents are started for; almost always empty.
CREATE INDEX pending_units_overflow ON pending_units (job_id) WHERE lane = 'overflow';
