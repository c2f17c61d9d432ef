CREATE TABLE ledger_entries (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transfer_id uuid NOT NULL REFERENCES transfers,
    account text NOT NULL,
    currency text NOT NULL DEFAULT 'CREDIT',
    amount_microcredits bigint NOT NULL CHECK (amount_microcredits <> 0),
    FOREIGN KEY (account, currency) REFERENCES accounts (account, currency));

CREATE INDEX ledger_entries_by_transfer ON ledger_entries (transfer_id);
CREATE INDEX ledger_entries_by_account ON ledger_entries (account, entry_id);

CREATE TRIGGER ledger_entries_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Entries are immutable. Post a correcting transfer.');

-- Before the first entry id is drawn: while the roll-up has this lock to itself, every id below its cut is committed or gone.
CREATE FUNCTION entries_share_lock() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('ledger:entries', 0));
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_entries_share_lock BEFORE INSERT ON ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION entries_share_lock();

CREATE FUNCTION entries_apply() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_late uuid;
BEGIN
    SELECT t.transfer_id INTO v_late
    FROM new_entries n JOIN ledger.transfers t ON t.transfer_id = n.transfer_id
    WHERE t.made_in <> pg_current_xact_id() LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Transfer % is finished and takes no more entries. Post another transfer.', v_late USING ERRCODE = 'restrict_violation';
    END IF;

    -- In order of the name: whoever changes several accounts takes them in the same order.
    PERFORM 1 FROM ledger.accounts a
    WHERE a.balance_kept AND a.account IN (SELECT n.account FROM new_entries n) ORDER BY a.account FOR NO KEY UPDATE;
    UPDATE ledger.accounts a SET posted_balance = a.posted_balance + d.amount
    FROM (SELECT n.account, sum(n.amount_microcredits)::bigint AS amount FROM new_entries n GROUP BY n.account) d
    WHERE a.account = d.account AND a.balance_kept;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_entries_apply AFTER INSERT ON ledger_entries REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT
    EXECUTE FUNCTION entries_apply();

CREATE FUNCTION transfer_must_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_entries bigint;
    v_off record;
BEGIN
    SELECT count(*) INTO v_entries FROM ledger.ledger_entries e WHERE e.transfer_id = NEW.transfer_id;
    IF v_entries < 2 THEN
        RAISE EXCEPTION 'Transfer % has % entries. It needs two at least.', NEW.transfer_id, v_entries USING ERRCODE = 'check_violation';
    END IF;

    SELECT e.currency, sum(e.amount_microcredits) AS amount INTO v_off
    FROM ledger.ledger_entries e WHERE e.transfer_id = NEW.transfer_id
    GROUP BY e.currency HAVING sum(e.amount_microcredits) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Transfer % does not balance: its % entries sum to %.', NEW.transfer_id, v_off.currency, v_off.amount USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
-- On entries too: SET CONSTRAINTS could use the transfer's check up before the last entry is in.
CREATE CONSTRAINT TRIGGER transfers_balance AFTER INSERT ON transfers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION transfer_must_balance();
CREATE CONSTRAINT TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION transfer_must_balance();
