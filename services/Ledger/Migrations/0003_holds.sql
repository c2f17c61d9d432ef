-- Credits set aside for a job. Captures charge units against it; closing releases the rest.
CREATE TABLE holds (
    hold_id uuid PRIMARY KEY,
    account text NOT NULL REFERENCES accounts,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    captured bigint NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    placed_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    close_reason text,
    CHECK (captured BETWEEN 0 AND amount),
    CHECK ((status = 'closed') = (closed_at IS NOT NULL))
);
CREATE INDEX holds_to_sweep ON holds (expires_at) WHERE status = 'open';

-- One charge for one unit. Shares are exact: they sum to the charge.
CREATE TABLE captures (
    capture_id text PRIMARY KEY,
    hold_id uuid NOT NULL REFERENCES holds,
    unit_index int NOT NULL CHECK (unit_index >= 0),
    attempt_id uuid NOT NULL,
    module text NOT NULL,
    metered_ms bigint NOT NULL CHECK (metered_ms >= 0),
    rate_per_minute bigint NOT NULL CHECK (rate_per_minute > 0),
    node_rate_per_minute bigint NOT NULL CHECK (node_rate_per_minute BETWEEN 0 AND rate_per_minute),
    node_tenant_id uuid NOT NULL,
    developer_tenant_id uuid NOT NULL,
    charge bigint NOT NULL CHECK (charge >= 0),
    node_share bigint NOT NULL CHECK (node_share >= 0),
    developer_share bigint NOT NULL CHECK (developer_share >= 0),
    platform_share bigint NOT NULL CHECK (platform_share >= 0),
    captured_at timestamptz NOT NULL DEFAULT now(),
    posted_at timestamptz,
    released_at timestamptz,
    UNIQUE (hold_id, unit_index),
    CHECK (charge = node_share + developer_share + platform_share)
);
CREATE INDEX captures_to_post ON captures (captured_at) WHERE posted_at IS NULL;
CREATE INDEX captures_to_release ON captures (posted_at) WHERE posted_at IS NOT NULL AND released_at IS NULL;

-- Settled charges of a module over its life, and the developer's tier, which never goes back.
CREATE TABLE module_gross (
    module_name text PRIMARY KEY,
    gross bigint NOT NULL DEFAULT 0,
    developer_percent int NOT NULL DEFAULT 70 CHECK (developer_percent BETWEEN 0 AND 100)
);

-- What was used, for export and statistics: one fact per charged unit.
CREATE TABLE usage_events (
    usage_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    capture_id text NOT NULL UNIQUE REFERENCES captures,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    unit_index int NOT NULL,
    module text NOT NULL,
    node_tenant_id uuid NOT NULL,
    metered_ms bigint NOT NULL,
    charge bigint NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX usage_events_by_tenant ON usage_events (tenant_id, usage_id);
