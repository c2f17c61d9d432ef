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
);
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
