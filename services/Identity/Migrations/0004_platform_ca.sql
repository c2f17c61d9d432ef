-- The CA that this database's nodes hang under. A service that finds another CA in its key directory must not start.
CREATE TABLE platform_ca (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    fingerprint_sha256 text NOT NULL CHECK (fingerprint_sha256 ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL);
