-- One row per job whose saga the durable engine knows, or is still to hear of. Removed with the saga's history, so the table stays small.
CREATE TABLE sagas (
    job_id uuid PRIMARY KEY REFERENCES jobs,
    -- Not urgent: whatever the saga has to hear starts it earlier, and a job that ends before costs one instance and one turn less.
    start_at timestamptz NOT NULL,
    started_at timestamptz,
    -- The evidence is recorded: nothing is left to do, and late signals are no news.
    done_at timestamptz,
    -- A step that failed for good waits for an operator: resume_saga(job_id).
    parked_step text,
    parked_reason text,
    parked_at timestamptz,
    CHECK ((parked_at IS NULL) = (parked_step IS NULL)),
    CHECK ((parked_at IS NULL) = (parked_reason IS NULL))
);
CREATE INDEX sagas_to_start ON sagas (start_at) WHERE started_at IS NULL;
CREATE INDEX sagas_done ON sagas (done_at) WHERE done_at IS NOT NULL;

-- Jobs that were under way before there were sagas.
INSERT INTO sagas (job_id, start_at) SELECT job_id, now() FROM jobs WHERE status IN ('submitted', 'running');
