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
