-- Keys that sign the lease-bound blob tokens of nodes. Shared by all replicas; the newest that all of them have had time to read signs.
CREATE TABLE lease_token_keys (
    key_id     text PRIMARY KEY,
    secret     bytea NOT NULL CHECK (length(secret) = 32),
    created_at timestamptz NOT NULL
);
