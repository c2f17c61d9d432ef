-- A unit that the fleet could not complete waits in a lane of its own, which only overflow nodes serve. The unit remembers its lane, because its
-- pending row goes with every lease.
ALTER TABLE units ADD COLUMN lane text NOT NULL DEFAULT 'fleet' CHECK (lane IN ('fleet', 'overflow'));
ALTER TABLE pending_units ADD COLUMN lane text NOT NULL DEFAULT 'fleet' CHECK (lane IN ('fleet', 'overflow'));

-- Keys of overflow nodes: a job may overflow only if its creator sealed it to one of them.
CREATE TABLE overflow_keys (
    recipient_key_id text PRIMARY KEY,
    added_at timestamptz NOT NULL DEFAULT now()
);
