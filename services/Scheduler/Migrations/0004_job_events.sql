-- xid orders the tail by commit-safe age: rows of a transaction that may still commit are never overtaken.
CREATE TABLE job_events (
    job_id uuid NOT NULL REFERENCES jobs,
    seq bigint NOT NULL CHECK (seq > 0),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (job_id, seq)
);
CREATE UNIQUE INDEX job_events_tail ON job_events (xid, position);

CREATE TABLE timings (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id uuid NOT NULL,
    name text NOT NULL,
    milliseconds double precision NOT NULL CHECK (milliseconds >= 0),
    at timestamptz NOT NULL
);
CREATE INDEX timings_by_task ON timings (task_id, name);
