-- What a saga has to hear, written in the transaction that made it true. A row stays until its effect is in the tables, and goes in the same
-- transaction: whatever the engine loses is handed over again.
CREATE TABLE saga_signals (
    -- The key of what it tells: job/unit/attempt/failed, job/ended.
    signal_id text PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    job_id uuid NOT NULL REFERENCES jobs,
    kind text NOT NULL CHECK (kind IN ('unitFailed', 'ended', 'resumed')),
    body jsonb NOT NULL,
    -- When to hand it over, for the first time or again.
    due_at timestamptz NOT NULL
);
CREATE INDEX saga_signals_due ON saga_signals (due_at);
-- In the order of handing over: an end, or an operator's word, goes before everything.
CREATE INDEX saga_signals_by_job ON saga_signals (job_id, (kind = 'unitFailed'), position);

-- For operators, once the cause is mended: the parked step is tried again. False when the job's saga is not parked.
CREATE FUNCTION resume_saga(p_job_id uuid) RETURNS boolean LANGUAGE plpgsql SET search_path = scheduler, pg_temp AS $$
BEGIN
    UPDATE sagas SET parked_step = NULL, parked_reason = NULL, parked_at = NULL WHERE job_id = p_job_id AND parked_at IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    INSERT INTO saga_signals (signal_id, job_id, kind, body, due_at)
    VALUES (p_job_id || '/resumed/' || gen_random_uuid(), p_job_id, 'resumed', '{}', now());
    RETURN true;
END $$;
