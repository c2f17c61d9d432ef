-- Money set aside for a job. The hold id is the caller's and decides alone whether a call is a repeat.
CREATE TABLE holds (
    hold_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account text NOT NULL REFERENCES accounts,
    job_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    captured bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    close_reason text,
    CONSTRAINT captures_fit_the_hold CHECK (captured >= 0 AND captured <= amount),
    CONSTRAINT account_is_the_tenants CHECK (account = 'creator:' || tenant_id),
    CONSTRAINT closed_with_reason CHECK ((closed_at IS NULL) = (close_reason IS NULL))
) WITH (fillfactor = 70);

CREATE INDEX holds_to_expire ON holds (expires_at) WHERE closed_at IS NULL;
CREATE INDEX holds_by_account ON holds (account);

CREATE TRIGGER holds_stay BEFORE DELETE OR TRUNCATE ON holds FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Holds are never removed. Close it.');
CREATE TRIGGER holds_keep_their_terms BEFORE UPDATE OF hold_id, tenant_id, account, job_id, amount, placed_at ON holds FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('The terms of a hold never change. Close it and place another.');
CREATE TRIGGER holds_follow_captures BEFORE UPDATE OF captured ON holds FOR EACH ROW
    WHEN (NEW.captured <> OLD.captured AND (pg_trigger_depth() = 0 OR NEW.captured < OLD.captured OR OLD.closed_at IS NOT NULL))
    EXECUTE FUNCTION refuse_change('What is captured follows the captures of an open hold.');
CREATE TRIGGER holds_close_once BEFORE UPDATE OF closed_at, close_reason ON holds FOR EACH ROW
    WHEN (OLD.closed_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change('A closed hold stays closed.');
CREATE TRIGGER holds_begin_open BEFORE INSERT ON holds FOR EACH ROW
    WHEN (NEW.captured <> 0 OR NEW.closed_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change('A hold begins open and without captures.');

CREATE FUNCTION hold_reserve() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- The account's own constraint refuses what is not there.
    UPDATE ledger.accounts SET held = held + NEW.amount WHERE account = NEW.account;
    RETURN NULL;
END $$;
CREATE TRIGGER holds_reserve AFTER INSERT ON holds FOR EACH ROW EXECUTE FUNCTION hold_reserve();

CREATE FUNCTION hold_release() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- What was captured stays held until it is posted.
    UPDATE ledger.accounts SET held = held - (NEW.amount - NEW.captured) WHERE account = NEW.account;
    RETURN NULL;
END $$;
CREATE TRIGGER holds_release AFTER UPDATE OF closed_at ON holds FOR EACH ROW
    WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL) EXECUTE FUNCTION hold_release();
