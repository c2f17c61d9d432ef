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
    expires_at timestamptz NOT NULL);

CREATE TABLE nodes (
    node_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text NOT NULL,
    -- The token that made the node: at most one node a token, whatever races.
    token_hash bytea NOT NULL UNIQUE,
    tls_key_sha256 bytea NOT NULL UNIQUE,
    encryption_key text NOT NULL,
    encryption_key_id text NOT NULL UNIQUE,
    certificate_pem text NOT NULL,
    certificate_expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz);
CREATE INDEX nodes_by_tenant ON nodes (tenant_id, created_at);
