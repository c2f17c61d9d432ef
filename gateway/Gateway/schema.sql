-- The present schema of this service: what all migrations together make. A test proves it.

-- Resumable uploads (tus). The offset is not here: it is the length of the file that holds the bytes so far, which no crash can contradict.
CREATE TABLE uploads (
    upload_id    uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    length_bytes bigint NOT NULL CHECK (length_bytes > 0),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    finished_at  timestamptz
);
CREATE INDEX uploads_open_by_tenant ON uploads (tenant_id) WHERE finished_at IS NULL;
CREATE INDEX uploads_by_expiry ON uploads (expires_at);

-- Keys that sign the lease-bound blob tokens of nodes. Shared by all replicas; the newest that all of them have had time to read signs.
CREATE TABLE lease_token_keys (
    key_id     text PRIMARY KEY,
    secret     bytea NOT NULL CHECK (length(secret) = 32),
    created_at timestamptz NOT NULL
);
