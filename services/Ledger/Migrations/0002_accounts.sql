-- Who owns how much. Signs: a credit is positive, a debit negative; what the platform owes to others is positive.
-- Accounts that every job touches (platform, issuance) keep no balance here: they would be one row that all work queues for.
-- Theirs is summed from entries, see view balances.
CREATE TABLE accounts (
    account text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('creator', 'earnings_pending', 'earnings', 'platform', 'issuance')),
    tenant_id uuid,
    currency text NOT NULL DEFAULT 'CREDIT' CHECK (currency IN ('CREDIT', 'USD')),
    balance_kept boolean NOT NULL GENERATED ALWAYS AS (kind IN ('creator', 'earnings_pending', 'earnings')) STORED,
    posted_balance bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    blocked boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account, currency),
    CONSTRAINT account_is_named_by_kind CHECK (
        CASE WHEN kind IN ('creator', 'earnings_pending', 'earnings')
            THEN tenant_id IS NOT NULL AND account = kind || ':' || tenant_id
            ELSE tenant_id IS NULL AND account LIKE kind || ':_%' END),
    CONSTRAINT nothing_goes_negative CHECK (held >= 0 AND posted_balance >= held),
    CONSTRAINT only_creators_have_holds CHECK (kind = 'creator' OR held = 0),
    CONSTRAINT hot_accounts_keep_no_balance CHECK (kind IN ('creator', 'earnings_pending', 'earnings') OR posted_balance = 0)
) WITH (fillfactor = 50);

INSERT INTO accounts (account, kind) VALUES ('platform:revenue', 'platform'), ('issuance:development', 'issuance');

CREATE TRIGGER accounts_begin_empty BEFORE INSERT ON accounts FOR EACH ROW
    WHEN (NEW.posted_balance <> 0 OR NEW.held <> 0)
    EXECUTE FUNCTION refuse_change('An account begins at zero. Post a transfer.');
CREATE TRIGGER accounts_stay BEFORE DELETE OR TRUNCATE ON accounts FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Accounts are never removed. Block it instead.');
CREATE TRIGGER accounts_keep_their_name BEFORE UPDATE OF account, kind, tenant_id, currency ON accounts FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('What an account is never changes. Open another one.');
-- Balances follow entries, holds and captures by the triggers on those tables, and nothing else (depth 0 = a statement of a client or function).
CREATE TRIGGER accounts_follow_entries BEFORE UPDATE OF posted_balance, held ON accounts FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND (NEW.posted_balance <> OLD.posted_balance OR NEW.held <> OLD.held))
    EXECUTE FUNCTION refuse_change('Balances follow entries and holds. Post a transfer, or place or close a hold.');
