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
    submitted_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    CHECK (cap_microcredits >= price_microcredits),
    CHECK (charged_microcredits <= price_microcredits),
    CHECK (units_completed + units_failed <= unit_count),
    CHECK ((ended_at IS NULL) = (status IN ('submitted', 'running')))
);
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
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'leased', 'completed', 'failed', 'canceled')),
    reason text,
    attempt_count int NOT NULL DEFAULT 0,
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
    PRIMARY KEY (job_id, unit_index),
    FOREIGN KEY (job_id, unit_index) REFERENCES units
);
CREATE INDEX pending_units_open ON pending_units (job_id, unit_index) WHERE state <> 'parked';
CREATE INDEX pending_units_parked ON pending_units (job_id, unit_index) WHERE state = 'parked';

CREATE TABLE job_grants (
    job_id uuid NOT NULL REFERENCES jobs,
    recipient_key_id text NOT NULL,
    asset_id uuid NOT NULL,
    encapsulated_key bytea NOT NULL,
    wrapped_key bytea NOT NULL,
    PRIMARY KEY (job_id, recipient_key_id, asset_id)
);
