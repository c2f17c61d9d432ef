-- A job's trace: where it goes on (the span that accepted the job; null where no trace is kept), and its finished spans from every process.
ALTER TABLE jobs ADD COLUMN trace_parent text;

CREATE TABLE job_spans (
    job_id uuid NOT NULL,
    span_id text NOT NULL,
    trace_id text NOT NULL,
    parent_span_id text,
    service text NOT NULL,
    name text NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms double precision NOT NULL,
    failed boolean NOT NULL,
    attributes jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (job_id, span_id)
);
CREATE INDEX job_spans_by_position ON job_spans (position);
