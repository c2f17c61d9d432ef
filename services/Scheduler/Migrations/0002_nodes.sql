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
    first_seen_at timestamptz NOT NULL
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
