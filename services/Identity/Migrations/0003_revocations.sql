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
