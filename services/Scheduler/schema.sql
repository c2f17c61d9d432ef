-- The present schema of the scheduler: what all migrations make together (a test compares). Changes go into a new migration and here.

CREATE TABLE jobs (
    job_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    task_id uuid NOT NULL UNIQUE,
    context_id text NOT NULL,
    manifest_sha256 text NOT NULL CHECK (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    module_name text NOT NULL,
    module_version text NOT NULL,
    developer_tenant_id uuid NOT NULL,
    rate_per_minute_microcredits bigint NOT NULL CHECK (rate_per_minute_microcredits > 0),
    runtime jsonb NOT NULL,
    manifest jsonb NOT NULL,
    assets jsonb NOT NULL,
    public_parameters jsonb,
    allow_overflow boolean NOT NULL,
    recipients text[] NOT NULL,
    device_kind text NOT NULL CHECK (device_kind IN ('cpu', 'gpu')),
    memory_bytes bigint NOT NULL,
    scratch_bytes bigint NOT NULL,
    unit_count int NOT NULL CHECK (unit_count BETWEEN 1 AND 100000),
    max_unit_device_seconds int NOT NULL CHECK (max_unit_device_seconds > 0),
    unit_worst_case_microcredits bigint NOT NULL CHECK (unit_worst_case_microcredits > 0),
    price_microcredits bigint NOT NULL CHECK (price_microcredits > 0),
    cap_microcredits bigint NOT NULL,
    status text NOT NULL DEFAULT 'submitted' CHECK (status IN ('submitted', 'running', 'completed', 'failed', 'canceled')),
    reason text,
    units_completed int NOT NULL DEFAULT 0,
    units_failed int NOT NULL DEFAULT 0,
    charged_microcredits bigint NOT NULL DEFAULT 0,
    metered_ms bigint NOT NULL DEFAULT 0,
    last_seq bigint NOT NULL DEFAULT 0,
    -- Whose turn it is: the job that was served longest ago, and in it the unit that was examined longest ago.
    last_leased_at timestamptz,
    submitted_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    client_job_id uuid NOT NULL,
    -- Where the job's trace goes on: the span that accepted it. Null where no trace is kept.
    trace_parent text,
    CONSTRAINT jobs_client_job_id_key UNIQUE (tenant_id, client_job_id),
    CHECK (cap_microcredits >= price_microcredits),
    CHECK (charged_microcredits <= price_microcredits),
    CHECK (units_completed + units_failed <= unit_count),
    CHECK ((ended_at IS NULL) = (status IN ('submitted', 'running')))
) WITH (fillfactor = 50);
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, submitted_at DESC, job_id DESC);
CREATE INDEX jobs_active ON jobs (submitted_at, job_id) WHERE status IN ('submitted', 'running');

-- A job that has ended stays ended, whatever the code above believes.
CREATE FUNCTION refuse_leaving_an_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Job % has ended as % and cannot become %.', OLD.job_id, OLD.status, NEW.status USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER jobs_end_once BEFORE UPDATE OF status ON jobs FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'canceled') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION refuse_leaving_an_end();

CREATE TABLE units (
    job_id uuid NOT NULL REFERENCES jobs,
    unit_index int NOT NULL CHECK (unit_index >= 0),
    -- undecided: its last attempt failed or was lost, and the job's saga has not said yet what becomes of the unit.
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'leased', 'undecided', 'completed', 'failed', 'canceled')),
    reason text,
    attempt_count int NOT NULL DEFAULT 0,
    -- Remembered here, because the pending row goes with every lease.
    lane text NOT NULL DEFAULT 'fleet' CHECK (lane IN ('fleet', 'overflow')),
    PRIMARY KEY (job_id, unit_index)
);

-- One row per unit that waits for a node. 'new' has not been examined; only those count for scaling the placer.
CREATE TABLE pending_units (
    job_id uuid NOT NULL,
    unit_index int NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'claimed', 'parked')),
    ready_at timestamptz NOT NULL,
    claim_id uuid,
    claimed_until timestamptz,
    parked_for text CHECK (parked_for IN ('capacity', 'recipients', 'refusal')),
    parked_reason text,
    retry_at timestamptz,
    examined_at timestamptz,
    -- A unit that the fleet could not complete waits for overflow nodes only.
    lane text NOT NULL DEFAULT 'fleet' CHECK (lane IN ('fleet', 'overflow')),
    PRIMARY KEY (job_id, unit_index),
    FOREIGN KEY (job_id, unit_index) REFERENCES units
);
CREATE INDEX pending_units_open ON pending_units (job_id, unit_index) WHERE state <> 'parked';
CREATE INDEX pending_units_overflow ON pending_units (job_id) WHERE lane = 'overflow';
CREATE INDEX pending_units_parked ON pending_units (job_id, examined_at, unit_index) WHERE state = 'parked';

CREATE TABLE job_grants (
    job_id uuid NOT NULL REFERENCES jobs,
    recipient_key_id text NOT NULL,
    asset_id uuid NOT NULL,
    encapsulated_key bytea NOT NULL,
    wrapped_key bytea NOT NULL,
    PRIMARY KEY (job_id, recipient_key_id, asset_id)
);

-- Keys of overflow nodes: a job may overflow only if its creator sealed it to one of them.
CREATE TABLE overflow_keys (
    recipient_key_id text PRIMARY KEY,
    added_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE nodes (
    node_id uuid PRIMARY KEY,
    owner_tenant_id uuid NOT NULL,
    name text NOT NULL,
    recipient_key_id text NOT NULL,
    capabilities jsonb NOT NULL,
    -- Rises with every session; frames and leases of an older one are refused.
    epoch bigint NOT NULL DEFAULT 0,
    hub_app_id text,
    status text NOT NULL CHECK (status IN ('online', 'offline', 'lost')),
    seen_at timestamptz NOT NULL,
    latency_ms double precision,
    first_seen_at timestamptz NOT NULL,
    -- A node that holds the overflow pool's key serves the overflow lane and nothing else.
    lane text NOT NULL DEFAULT 'fleet' CHECK (lane IN ('fleet', 'overflow'))
);
CREATE INDEX nodes_by_owner ON nodes (owner_tenant_id, name);
CREATE INDEX nodes_by_key ON nodes (recipient_key_id);

CREATE TABLE node_sessions (
    node_id uuid NOT NULL REFERENCES nodes,
    epoch bigint NOT NULL,
    hub_app_id text NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    PRIMARY KEY (node_id, epoch)
);

CREATE SEQUENCE fencing_tokens AS bigint;

-- The authority on leases.
CREATE TABLE attempts (
    attempt_id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    unit_index int NOT NULL,
    number int NOT NULL CHECK (number > 0),
    node_id uuid NOT NULL REFERENCES nodes,
    slot int NOT NULL CHECK (slot >= 0),
    epoch bigint NOT NULL,
    hub_app_id text NOT NULL,
    fencing_token bigint NOT NULL UNIQUE DEFAULT nextval('fencing_tokens'),
    -- offered, running: the token is current. revoking, lost: it is not, but the slot stays reserved until the node confirms.
    status text NOT NULL DEFAULT 'offered'
        CHECK (status IN ('offered', 'running', 'revoking', 'lost', 'completed', 'failed', 'refused', 'undelivered', 'revoked')),
    failure_class text,
    reason text,
    progress double precision,
    metered_ms bigint CHECK (metered_ms >= 0),
    charge_microcredits bigint CHECK (charge_microcredits >= 0),
    node_share_microcredits bigint CHECK (node_share_microcredits >= 0),
    ready_at timestamptz NOT NULL,
    leased_at timestamptz NOT NULL,
    lease_expires_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    missing_since timestamptz,
    revocation_sent_at timestamptz,
    ended_at timestamptz,
    UNIQUE (job_id, unit_index, number),
    FOREIGN KEY (job_id, unit_index) REFERENCES units
) WITH (fillfactor = 70);
-- Two leases on one slot, or two current tokens for one unit, cannot be: the second insert fails.
CREATE UNIQUE INDEX attempts_one_per_slot ON attempts (node_id, slot) WHERE status IN ('offered', 'running', 'revoking', 'lost');
CREATE UNIQUE INDEX attempts_one_current_per_unit ON attempts (job_id, unit_index) WHERE status IN ('offered', 'running');
CREATE INDEX attempts_open ON attempts (lease_expires_at) WHERE status IN ('offered', 'running', 'revoking', 'lost');
CREATE INDEX attempts_earnings ON attempts (ended_at) WHERE status = 'completed';

-- Why this node: every candidate, and what spoke for or against it.
CREATE TABLE placement_decisions (
    attempt_id uuid PRIMARY KEY REFERENCES attempts,
    trace jsonb NOT NULL
);

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
-- A page of outputs begins at a unit; a long job's log holds twenty events for each.
CREATE INDEX job_events_outputs ON job_events (job_id, ((body ->> 'unitIndex')::int)) WHERE kind = 'unitCompleted';

CREATE TABLE timings (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id uuid NOT NULL,
    name text NOT NULL,
    milliseconds double precision NOT NULL CHECK (milliseconds >= 0),
    at timestamptz NOT NULL
);
CREATE INDEX timings_by_task ON timings (task_id, name);

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

CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE, component text NOT NULL, topic text NOT NULL, payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), trace_parent text, trace_state text);
CREATE TABLE inbox (message_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());

-- Finished spans of jobs' traces, from every process.
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
