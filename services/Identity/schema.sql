-- The present schema of this service: what all migrations together make. A test proves it.

-- Who is who: tenants, their devices, nodes and API keys. Secrets are kept as SHA-256 only.
CREATE TABLE tenants (
    tenant_id uuid PRIMARY KEY,
    display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL);

CREATE TABLE devices (
    device_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- RFC 7638 thumbprint of the ES256 key: one key is one device, so a repeated registration finds itself.
    key_thumbprint text NOT NULL UNIQUE,
    key_x text NOT NULL,
    key_y text NOT NULL,
    encryption_key text NOT NULL,
    encryption_key_id text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz);
CREATE INDEX devices_by_tenant ON devices (tenant_id, created_at);

CREATE TABLE api_keys (
    api_key_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    key_hash bytea NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at);

CREATE TABLE node_tokens (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    tenant_id uuid NOT NULL REFERENCES tenants,
    node_name text NOT NULL CHECK (length(node_name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    kind text NOT NULL DEFAULT 'node' CHECK (kind IN ('node', 'overflow')));

CREATE TABLE nodes (
    node_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text NOT NULL,
    -- The token that made the node: at most one node a token, whatever races.
    token_hash bytea NOT NULL UNIQUE,
    tls_key_sha256 bytea NOT NULL UNIQUE,
    encryption_key text NOT NULL,
    encryption_key_id text NOT NULL,
    certificate_pem text NOT NULL,
    certificate_expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    -- Overflow agents share their pool's key; any other node's key is its own.
    kind text NOT NULL DEFAULT 'node' CHECK (kind IN ('node', 'overflow')));
CREATE INDEX nodes_by_tenant ON nodes (tenant_id, created_at);
CREATE UNIQUE INDEX nodes_one_per_encryption_key ON nodes (encryption_key_id) WHERE kind = 'node';

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

-- Ids of assertions and DPoP proofs that were used: each is good once, on every replica and across restarts.
CREATE TABLE used_proofs (
    kind text NOT NULL CHECK (kind IN ('assertion', 'dpop')),
    key_thumbprint text NOT NULL,
    proof_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (kind, key_thumbprint, proof_id));
CREATE INDEX used_proofs_by_expiry ON used_proofs (expires_at);

-- One row, locked by every revocation: the version rises in the order of the commits, so a reader never misses one behind a higher number.
CREATE TABLE revocation_version (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL);
INSERT INTO revocation_version (version) VALUES (1);

CREATE TABLE revocations (
    kind text NOT NULL CHECK (kind IN ('device', 'node', 'apiKey')),
    subject uuid NOT NULL,
    version bigint NOT NULL,
    revoked_at timestamptz NOT NULL,
    -- When nothing that the subject holds is valid any more by itself.
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (kind, subject));

-- The CA that this database's nodes hang under. A service that finds another CA in its key directory must not start.
CREATE TABLE platform_ca (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    fingerprint_sha256 text NOT NULL CHECK (fingerprint_sha256 ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL);

-- Browsers that a device has let in. The secret of the cookie is kept as SHA-256 only.
CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    device_id uuid NOT NULL REFERENCES devices,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    secret_hash bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz);
CREATE INDEX sessions_by_tenant ON sessions (tenant_id, created_at);

-- One link, good once and for a minute: the browser that comes first leaves its key here, and the device what it sealed for that key.
CREATE TABLE sign_ins (
    sign_in_id uuid PRIMARY KEY,
    device_id uuid NOT NULL REFERENCES devices,
    code_hash bytea NOT NULL UNIQUE CHECK (length(code_hash) = 32),
    expires_at timestamptz NOT NULL,
    session_id uuid UNIQUE REFERENCES sessions,
    browser_key text,
    browser_proof text,
    handed_over bytea,
    CHECK ((session_id IS NULL) = (browser_key IS NULL) AND (session_id IS NULL) = (browser_proof IS NULL)));
CREATE INDEX sign_ins_by_device ON sign_ins (device_id);

-- Facts leave in the transaction that made them true (libs/Postgres, Outbox.TableSql).
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE, component text NOT NULL, topic text NOT NULL, payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), trace_parent text, trace_state text);
CREATE TABLE inbox (message_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());
