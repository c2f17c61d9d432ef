-- Cloud overflow: agents that the platform starts on demand share one encryption key, the pool's, and belong to the platform's own tenant.
-- A pool key is stated as kind 'overflow' and never as a node's: who did not opt in seals nothing for it.
CREATE TABLE platform_tenant (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    tenant_id uuid NOT NULL REFERENCES tenants);

CREATE TABLE overflow_pools (
    pool_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    encryption_key text NOT NULL,
    encryption_key_id text NOT NULL UNIQUE,
    published_at timestamptz NOT NULL,
    -- Stated no more, and takes no more agents. The row stays: the key must never become an ordinary node's.
    withdrawn_at timestamptz);
-- One pool at a time.
CREATE UNIQUE INDEX overflow_pools_one_published ON overflow_pools ((true)) WHERE withdrawn_at IS NULL;

ALTER TABLE node_tokens ADD COLUMN kind text NOT NULL DEFAULT 'node' CHECK (kind IN ('node', 'overflow'));
ALTER TABLE nodes ADD COLUMN kind text NOT NULL DEFAULT 'node' CHECK (kind IN ('node', 'overflow'));
ALTER TABLE nodes DROP CONSTRAINT nodes_encryption_key_id_key;
CREATE UNIQUE INDEX nodes_one_per_encryption_key ON nodes (encryption_key_id) WHERE kind = 'node';
