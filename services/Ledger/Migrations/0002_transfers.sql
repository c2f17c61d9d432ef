-- A transfer is a set of entries that sums to zero in every currency. Neither is ever changed; a correction is a new transfer.
CREATE TABLE transfers (
    transfer_id uuid PRIMARY KEY,
    -- Key of the effect: the same effect cannot be posted twice under another id.
    effect_key text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('top_up', 'charge', 'release', 'refund', 'payout', 'correction')),
    job_id uuid,
    at timestamptz NOT NULL DEFAULT now(),
    -- Entries may only join in the transaction that made their transfer.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX transfers_by_job ON transfers (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE ledger_entries (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transfer_id uuid NOT NULL REFERENCES transfers,
    account text NOT NULL,
    currency text NOT NULL DEFAULT 'CREDIT',
    -- Credit positive, debit negative.
    amount_microcredits bigint NOT NULL CHECK (amount_microcredits <> 0),
    FOREIGN KEY (account, currency) REFERENCES accounts (account, currency)
);
CREATE INDEX ledger_entries_by_transfer ON ledger_entries (transfer_id);
CREATE INDEX ledger_entries_by_account ON ledger_entries (account, entry_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the books are append-only. Post a correcting transfer.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transfers_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries EXECUTE FUNCTION refuse_change();

CREATE FUNCTION apply_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM transfers WHERE transfer_id = NEW.transfer_id AND xid = pg_current_xact_id()) THEN
        RAISE EXCEPTION 'Transfer % was posted by an earlier transaction and takes no more entries.', NEW.transfer_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE accounts SET posted_balance = posted_balance + NEW.amount_microcredits
    WHERE account = NEW.account AND kind NOT IN ('platform', 'issuance');
    RETURN NULL;
END $$;
CREATE TRIGGER entries_move_balances AFTER INSERT ON ledger_entries FOR EACH ROW EXECUTE FUNCTION apply_entry();

-- Runs at commit, when all entries of the transfer are there.
CREATE FUNCTION require_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong record;
BEGIN
    SELECT currency, sum(amount_microcredits) AS total INTO wrong
    FROM ledger_entries WHERE transfer_id = NEW.transfer_id GROUP BY currency HAVING sum(amount_microcredits) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Transfer % does not balance: its % entries sum to %.', NEW.transfer_id, wrong.currency, wrong.total
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM ledger_entries WHERE transfer_id = NEW.transfer_id) THEN
        RAISE EXCEPTION 'Transfer % has no entries.', NEW.transfer_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transfers_balance AFTER INSERT ON transfers DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION require_balance();

-- Balances of all accounts, hot ones summed from their entries.
CREATE VIEW account_balances AS
    SELECT a.account, a.kind, a.tenant_id, a.currency,
        CASE WHEN a.kind IN ('platform', 'issuance')
            THEN coalesce((SELECT sum(e.amount_microcredits) FROM ledger_entries e WHERE e.account = a.account), 0)::bigint
            ELSE a.posted_balance END AS balance,
        a.held
    FROM accounts a;

-- Credits bought or, in Development, granted. The id makes a repeat harmless.
CREATE FUNCTION top_up_v1(p_top_up_id uuid, p_tenant_id uuid, p_amount bigint, p_source_account text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    creator text := open_account('creator', p_tenant_id);
    key text := 'top-up/' || p_top_up_id;
    posted bigint;
BEGIN
    -- Orders repeats of one id: the second waits here and then finds the first.
    PERFORM 1 FROM accounts WHERE account = creator FOR UPDATE;
    SELECT e.amount_microcredits INTO posted FROM transfers t JOIN ledger_entries e USING (transfer_id)
    WHERE t.effect_key = key AND e.account = creator;
    IF FOUND THEN
        RETURN CASE WHEN posted = p_amount THEN 'alreadyCreated' ELSE 'conflictingAmount' END;
    END IF;
    IF EXISTS (SELECT 1 FROM transfers WHERE effect_key = key) THEN
        -- The same id was used by another tenant; whose, is not this one's to know.
        RETURN 'conflictingAmount';
    END IF;
    INSERT INTO transfers (transfer_id, effect_key, kind) VALUES (p_top_up_id, key, 'top_up');
    INSERT INTO ledger_entries (transfer_id, account, amount_microcredits)
    VALUES (p_top_up_id, p_source_account, -p_amount), (p_top_up_id, creator, p_amount);
    RETURN 'created';
END $$;
