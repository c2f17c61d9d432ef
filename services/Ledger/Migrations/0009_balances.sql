-- Balances of the accounts that keep none: a sum up to an entry, moved forward from time to time.
CREATE TABLE balance_rollups (
    account text PRIMARY KEY REFERENCES accounts,
    balance bigint NOT NULL,
    through_entry_id bigint NOT NULL);

CREATE VIEW balances AS
SELECT a.account, a.kind, a.tenant_id, a.currency, a.held,
    CASE WHEN a.balance_kept THEN a.posted_balance
        ELSE coalesce(r.balance, 0) + coalesce((
            SELECT sum(e.amount_microcredits) FROM ledger_entries e
            WHERE e.account = a.account AND e.entry_id > coalesce(r.through_entry_id, 0)), 0)::bigint
    END AS posted_balance
FROM accounts a LEFT JOIN balance_rollups r ON r.account = a.account;

CREATE FUNCTION roll_up_balances() RETURNS bigint
LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE
    v_through bigint;
BEGIN
    -- Waits for the writers under way and keeps new ones out for the length of this call.
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger:entries', 0));
    SELECT coalesce(max(entry_id), 0) INTO v_through FROM ledger_entries;
    INSERT INTO balance_rollups AS r (account, balance, through_entry_id)
    SELECT b.account, b.posted_balance, v_through FROM balances b JOIN accounts a ON a.account = b.account
    WHERE NOT a.balance_kept
    ON CONFLICT (account) DO UPDATE SET balance = excluded.balance, through_entry_id = excluded.through_entry_id;
    RETURN v_through;
END $$;
REVOKE ALL ON FUNCTION roll_up_balances() FROM PUBLIC;
