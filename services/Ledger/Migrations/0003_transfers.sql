-- One movement of money, immutable; a correction is another transfer. (kind, reference) is the key of the effect:
-- nothing is posted twice, whoever tries again.
CREATE TABLE transfers (
    transfer_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('topUp', 'capture', 'release')),
    reference text NOT NULL,
    job_id uuid,
    at timestamptz NOT NULL,
    -- Entries may join only in the transaction that made the transfer.
    made_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (kind, reference));

CREATE INDEX transfers_by_job ON transfers (job_id) WHERE job_id IS NOT NULL;

CREATE TRIGGER transfers_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Transfers are immutable. Post a correcting transfer.');
