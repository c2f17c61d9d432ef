-- Ids of assertions and DPoP proofs that were used: each is good once, on every replica and across restarts.
CREATE TABLE used_proofs (
    kind text NOT NULL CHECK (kind IN ('assertion', 'dpop')),
    key_thumbprint text NOT NULL,
    proof_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (kind, key_thumbprint, proof_id));
CREATE INDEX used_proofs_by_expiry ON used_proofs (expires_at);
