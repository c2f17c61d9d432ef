-- The ledger's schema as it is now, for reading. A test proves that it equals all migrations applied in order.
-- Run in an empty schema named ledger with search_path = ledger.

-- Functions here are called by name only: nobody may run one that was not granted.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Facts leave in the transaction that made them true.
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE,
    component text NOT NULL,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), trace_parent text, trace_state text);

CREATE TABLE inbox (message_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());

-- One id for one effect, whoever repeats it: version 8 UUID from the SHA-256 of its name.
CREATE FUNCTION derive_id(p_name text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT encode(set_byte(set_byte(h, 6, (get_byte(h, 6) & 15) | 128), 8, (get_byte(h, 8) & 63) | 128), 'hex')::uuid
    FROM substring(sha256(convert_to(p_name, 'UTF8')) FOR 16) AS digest(h)
$$;

-- For triggers that forbid: TG_ARGV[0] says why and what to do instead.
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on ledger.% is refused. %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

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

-- One accepted unit and what it cost. Posting into the books comes later, once, by posted_at.
CREATE TABLE captures (
    capture_id text PRIMARY KEY CHECK (length(capture_id) BETWEEN 1 AND 200),
    sequence bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    hold_id uuid NOT NULL REFERENCES holds,
    unit_index int NOT NULL CHECK (unit_index >= 0),
    attempt_id uuid NOT NULL,
    metered_ms bigint NOT NULL CHECK (metered_ms >= 0),
    rate_per_minute bigint NOT NULL CHECK (rate_per_minute >= 0),
    node_rate_per_minute bigint NOT NULL CHECK (node_rate_per_minute >= 0),
    node_tenant_id uuid NOT NULL,
    developer_tenant_id uuid NOT NULL,
    module text NOT NULL,
    developer_percent int NOT NULL CHECK (developer_percent BETWEEN 0 AND 100),
    charge bigint NOT NULL,
    node_share bigint NOT NULL,
    developer_share bigint NOT NULL,
    platform_share bigint NOT NULL,
    -- The node's rate was above the charge: a fault of whoever set the rates, shown by /internal/books.
    node_share_clamped boolean NOT NULL DEFAULT false,
    captured_at timestamptz NOT NULL DEFAULT now(),
    posted_at timestamptz,
    transfer_id uuid UNIQUE REFERENCES transfers,
    release_at timestamptz,
    released_at timestamptz,
    UNIQUE (hold_id, unit_index),
    CONSTRAINT shares_make_the_charge CHECK (
        node_share >= 0 AND developer_share >= 0 AND platform_share >= 0 AND charge = node_share + developer_share + platform_share),
    CONSTRAINT posted_by_a_transfer CHECK ((transfer_id IS NOT NULL) = (posted_at IS NOT NULL AND charge > 0)),
    CONSTRAINT released_after_posted CHECK ((posted_at IS NULL) = (release_at IS NULL) AND (released_at IS NULL OR posted_at IS NOT NULL)));

CREATE INDEX captures_to_post ON captures (sequence) WHERE posted_at IS NULL;
CREATE INDEX captures_to_release ON captures (release_at) WHERE posted_at IS NOT NULL AND released_at IS NULL;

CREATE TRIGGER captures_stay BEFORE DELETE OR TRUNCATE ON captures FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Captures are never removed. Post a correcting transfer.');
CREATE TRIGGER captures_keep_their_facts BEFORE UPDATE OF
    capture_id, hold_id, unit_index, attempt_id, metered_ms, rate_per_minute, node_rate_per_minute, node_tenant_id, developer_tenant_id, module,
    developer_percent, charge, node_share, developer_share, platform_share, node_share_clamped, captured_at
    ON captures FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('The facts of a capture never change. Post a correcting transfer.');
CREATE TRIGGER captures_post_once BEFORE UPDATE OF posted_at, transfer_id, release_at, released_at ON captures FOR EACH ROW
    WHEN ((OLD.posted_at IS NOT NULL AND (NEW.posted_at, NEW.transfer_id, NEW.release_at) IS DISTINCT FROM (OLD.posted_at, OLD.transfer_id, OLD.release_at))
        OR OLD.released_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change('A capture is posted once and released once.');
CREATE TRIGGER captures_begin_unposted BEFORE INSERT ON captures FOR EACH ROW WHEN (NEW.posted_at IS NOT NULL OR NEW.released_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change('A capture begins unposted.');

CREATE FUNCTION capture_count() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- The hold's own constraint refuses what does not fit, its trigger what comes after the close.
    UPDATE ledger.holds SET captured = captured + NEW.charge WHERE hold_id = NEW.hold_id;
    RETURN NULL;
END $$;
CREATE TRIGGER captures_count AFTER INSERT ON captures FOR EACH ROW WHEN (NEW.charge > 0) EXECUTE FUNCTION capture_count();

CREATE FUNCTION captures_unhold() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM ledger.accounts a
    WHERE a.account IN (
        SELECT h.account FROM old_captures o JOIN ledger.holds h ON h.hold_id = o.hold_id WHERE o.posted_at IS NULL)
    ORDER BY a.account FOR NO KEY UPDATE;
    UPDATE ledger.accounts a SET held = a.held - d.charge
    FROM (
        SELECT h.account, sum(o.charge)::bigint AS charge
        FROM old_captures o
        JOIN new_captures n ON n.capture_id = o.capture_id
        JOIN ledger.holds h ON h.hold_id = o.hold_id
        WHERE o.posted_at IS NULL AND n.posted_at IS NOT NULL
        GROUP BY h.account) d
    WHERE a.account = d.account AND d.charge > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER captures_unhold AFTER UPDATE ON captures REFERENCING OLD TABLE AS old_captures NEW TABLE AS new_captures FOR EACH STATEMENT
    EXECUTE FUNCTION captures_unhold();

-- Lifetime gross of a module over all its versions: settled charges. It decides the developer's tier.
-- Counted by the posting, not by the capture: a row that every unit of a popular module must lock would be the slowest on the way of a result.
CREATE TABLE module_gross (
    module_name text PRIMARY KEY,
    gross_microcredits bigint NOT NULL DEFAULT 0 CHECK (gross_microcredits >= 0),
    upper_tier_since timestamptz);

-- Set in the moment the gross passes 10,000 credits ($1,000), and never taken back.
CREATE FUNCTION module_gross_tier() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.upper_tier_since IS NOT NULL THEN
        NEW.upper_tier_since := OLD.upper_tier_since;
    ELSIF NEW.gross_microcredits > 10000000000 THEN
        NEW.upper_tier_since := coalesce(NEW.upper_tier_since, now());
    ELSE
        NEW.upper_tier_since := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER module_gross_tier BEFORE INSERT OR UPDATE ON module_gross FOR EACH ROW EXECUTE FUNCTION module_gross_tier();
CREATE TRIGGER module_gross_stays BEFORE DELETE OR TRUNCATE ON module_gross FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('A module keeps its lifetime gross.');

-- What was used, by whom, on whose node, with whose module: one row per capture, written with its posting.
CREATE TABLE usage_events (
    usage_event_id uuid PRIMARY KEY,
    capture_id text NOT NULL UNIQUE REFERENCES captures,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    unit_index int NOT NULL,
    attempt_id uuid NOT NULL,
    module text NOT NULL,
    node_tenant_id uuid NOT NULL,
    developer_tenant_id uuid NOT NULL,
    metered_ms bigint NOT NULL,
    charge bigint NOT NULL,
    node_share bigint NOT NULL,
    developer_share bigint NOT NULL,
    platform_share bigint NOT NULL,
    at timestamptz NOT NULL);

CREATE INDEX usage_events_by_tenant ON usage_events (tenant_id, at);
CREATE INDEX usage_events_by_node_owner ON usage_events (node_tenant_id);
CREATE INDEX usage_events_by_developer ON usage_events (developer_tenant_id);

CREATE TRIGGER usage_events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_events FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Usage events are immutable.');

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

CREATE FUNCTION hold_repeat(p_hold_id uuid, p_tenant_id uuid, p_amount bigint, p_job_id uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN h.tenant_id = p_tenant_id AND h.amount = p_amount AND h.job_id = p_job_id THEN 'alreadyPlaced' ELSE 'conflictingAmount' END
    FROM ledger.holds h WHERE h.hold_id = p_hold_id
$$;

-- Sets credits aside for a job. Outcomes in the order of the checks:
-- placed | alreadyPlaced | conflictingAmount | accountBlocked | insufficientCredits; the look-up by id comes first,
-- so that a repeat is answered alike however the world has moved on.
CREATE FUNCTION place_hold_v1(p_hold_id uuid, p_tenant_id uuid, p_amount bigint, p_expires_at timestamptz, p_job_id uuid)
RETURNS TABLE (outcome text, available_microcredits bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE
    v_account text := 'creator:' || p_tenant_id;
    v_blocked boolean;
    v_available bigint;
BEGIN
    IF p_hold_id IS NULL OR p_tenant_id IS NULL OR p_expires_at IS NULL OR p_job_id IS NULL OR p_amount IS NULL OR p_amount <= 0 THEN
        RAISE EXCEPTION 'A hold needs an id, a tenant, a job, an expiry and an amount above 0 (it is %).', p_amount USING ERRCODE = 'invalid_parameter_value';
    END IF;

    outcome := hold_repeat(p_hold_id, p_tenant_id, p_amount, p_job_id);
    IF outcome IS NULL THEN
        SELECT a.blocked, a.posted_balance - a.held INTO v_blocked, v_available
        FROM accounts a WHERE a.account = v_account FOR NO KEY UPDATE;
        IF FOUND AND NOT v_blocked AND v_available >= p_amount THEN
            INSERT INTO holds (hold_id, tenant_id, account, job_id, amount, expires_at)
            VALUES (p_hold_id, p_tenant_id, v_account, p_job_id, p_amount, p_expires_at)
            ON CONFLICT (hold_id) DO NOTHING;
            IF FOUND THEN
                RETURN QUERY SELECT 'placed', v_available - p_amount;
                RETURN;
            END IF;
        END IF;

        -- A twin of this call may have come first while this one waited for the account; then its hold decides.
        outcome := coalesce(
            hold_repeat(p_hold_id, p_tenant_id, p_amount, p_job_id),
            CASE WHEN v_blocked THEN 'accountBlocked' ELSE 'insufficientCredits' END);
    END IF;

    SELECT a.posted_balance - a.held INTO v_available FROM accounts a WHERE a.account = v_account;
    RETURN QUERY SELECT outcome, coalesce(v_available, 0);
END $$;
REVOKE ALL ON FUNCTION place_hold_v1(uuid, uuid, bigint, timestamptz, uuid) FROM PUBLIC;
GRANT USAGE ON SCHEMA ledger TO rendertrust_scheduler;
GRANT EXECUTE ON FUNCTION place_hold_v1(uuid, uuid, bigint, timestamptz, uuid) TO rendertrust_scheduler;

-- The one place that divides a charge. All divisions round down, the platform has the rest; exact beyond 64 bits.
CREATE FUNCTION split_charge(
    p_metered_ms bigint, p_rate_per_minute bigint, p_node_rate_per_minute bigint, p_developer_percent int,
    OUT charge bigint, OUT node_share bigint, OUT developer_share bigint, OUT platform_share bigint, OUT clamped boolean)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_node bigint := div(p_metered_ms::numeric * p_node_rate_per_minute, 60000);
BEGIN
    charge := div(p_metered_ms::numeric * p_rate_per_minute, 60000);
    clamped := v_node > charge;
    node_share := least(v_node, charge);
    developer_share := div((charge - node_share)::numeric * p_developer_percent, 100);
    platform_share := charge - node_share - developer_share;
END $$;

-- Charges one accepted unit to its hold. Outcomes in the order of the checks:
-- captured | alreadyCaptured | conflictingAmount | unknownHold | holdClosed | exceedsHold.
-- alreadyCaptured carries the figures of the first capture, also when it came under another capture id: a unit is paid once.
-- All other refusals carry zeros.
CREATE FUNCTION capture_unit_v1(
    p_hold_id uuid, p_capture_id text, p_unit_index int, p_attempt_id uuid, p_metered_ms bigint, p_rate_per_minute bigint,
    p_node_rate_per_minute bigint, p_node_tenant_id uuid, p_developer_tenant_id uuid, p_module text)
RETURNS TABLE (outcome text, charge bigint, node_share bigint, developer_share bigint, platform_share bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_first captures%ROWTYPE;
    v_hold holds%ROWTYPE;
    v_percent int;
    v_shares record;
BEGIN
    IF p_hold_id IS NULL OR p_capture_id IS NULL OR p_attempt_id IS NULL OR p_node_tenant_id IS NULL OR p_developer_tenant_id IS NULL OR p_module IS NULL
        OR coalesce(p_unit_index, -1) < 0 OR coalesce(p_metered_ms, -1) < 0 OR coalesce(p_rate_per_minute, -1) < 0 OR coalesce(p_node_rate_per_minute, -1) < 0 THEN
        RAISE EXCEPTION 'A capture needs all its values and none below 0 (unit %, metered % ms, rate %, node rate %).',
            p_unit_index, p_metered_ms, p_rate_per_minute, p_node_rate_per_minute USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- Twice: before the lock for the usual repeat, after it for a twin that was under way.
    FOR v_try IN 1..2 LOOP
        SELECT * INTO v_first FROM captures c WHERE c.capture_id = p_capture_id;
        IF FOUND AND (v_first.hold_id, v_first.unit_index, v_first.attempt_id, v_first.metered_ms, v_first.rate_per_minute, v_first.node_rate_per_minute,
                v_first.node_tenant_id, v_first.developer_tenant_id, v_first.module)
            IS DISTINCT FROM (p_hold_id, p_unit_index, p_attempt_id, p_metered_ms, p_rate_per_minute, p_node_rate_per_minute,
                p_node_tenant_id, p_developer_tenant_id, p_module) THEN
            RETURN QUERY SELECT 'conflictingAmount', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
            RETURN;
        END IF;

        IF NOT FOUND THEN
            SELECT * INTO v_first FROM captures c WHERE c.hold_id = p_hold_id AND c.unit_index = p_unit_index;
        END IF;

        IF FOUND THEN
            RETURN QUERY SELECT 'alreadyCaptured', v_first.charge, v_first.node_share, v_first.developer_share, v_first.platform_share;
            RETURN;
        END IF;

        IF v_try = 1 THEN
            SELECT * INTO v_hold FROM holds h WHERE h.hold_id = p_hold_id FOR NO KEY UPDATE;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 'unknownHold', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
                RETURN;
            END IF;
        END IF;
    END LOOP;

    IF v_hold.closed_at IS NOT NULL THEN
        RETURN QUERY SELECT 'holdClosed', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
        RETURN;
    END IF;

    SELECT CASE WHEN g.upper_tier_since IS NULL THEN 70 ELSE 85 END INTO v_percent
    FROM module_gross g WHERE g.module_name = split_part(p_module, '@', 1);
    -- Nodes of one's own organisation work for nothing, whatever rate the caller names.
    SELECT * INTO v_shares FROM split_charge(
        p_metered_ms, p_rate_per_minute, CASE WHEN p_node_tenant_id = v_hold.tenant_id THEN 0 ELSE p_node_rate_per_minute END, coalesce(v_percent, 70));

    IF v_shares.charge > v_hold.amount - v_hold.captured THEN
        RETURN QUERY SELECT 'exceedsHold', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
        RETURN;
    END IF;

    IF v_shares.clamped THEN
        RAISE WARNING 'Invariant: the node rate % of capture % is above its rate %. The node gets the whole charge and no more.',
            p_node_rate_per_minute, p_capture_id, p_rate_per_minute;
    END IF;

    INSERT INTO captures (
        capture_id, hold_id, unit_index, attempt_id, metered_ms, rate_per_minute, node_rate_per_minute, node_tenant_id, developer_tenant_id, module,
        developer_percent, charge, node_share, developer_share, platform_share, node_share_clamped)
    VALUES (
        p_capture_id, p_hold_id, p_unit_index, p_attempt_id, p_metered_ms, p_rate_per_minute, p_node_rate_per_minute, p_node_tenant_id,
        p_developer_tenant_id, p_module,
        coalesce(v_percent, 70), v_shares.charge, v_shares.node_share, v_shares.developer_share, v_shares.platform_share, v_shares.clamped)
    ON CONFLICT (capture_id) DO NOTHING;
    IF FOUND THEN
        RETURN QUERY SELECT 'captured', v_shares.charge, v_shares.node_share, v_shares.developer_share, v_shares.platform_share;
    ELSE
        -- The same id on another hold, at the same time.
        RETURN QUERY SELECT 'conflictingAmount', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
    END IF;
END $$;
REVOKE ALL ON FUNCTION capture_unit_v1(uuid, text, int, uuid, bigint, bigint, bigint, uuid, uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION capture_unit_v1(uuid, text, int, uuid, bigint, bigint, bigint, uuid, uuid, text) TO rendertrust_scheduler;

-- Gives back what was not captured. Outcomes: closed | alreadyClosed | unknownHold.
CREATE FUNCTION close_hold_v1(p_hold_id uuid, p_reason text)
RETURNS TABLE (outcome text, held bigint, captured bigint, released bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_hold holds%ROWTYPE;
BEGIN
    UPDATE holds h SET closed_at = now(), close_reason = coalesce(nullif(p_reason, ''), 'closed')
    WHERE h.hold_id = p_hold_id AND h.closed_at IS NULL
    RETURNING h.* INTO v_hold;
    IF FOUND THEN
        RETURN QUERY SELECT 'closed', v_hold.amount, v_hold.captured, v_hold.amount - v_hold.captured;
        RETURN;
    END IF;

    SELECT * INTO v_hold FROM holds h WHERE h.hold_id = p_hold_id;
    IF FOUND THEN
        RETURN QUERY SELECT 'alreadyClosed', v_hold.amount, v_hold.captured, v_hold.amount - v_hold.captured;
    ELSE
        RETURN QUERY SELECT 'unknownHold', 0::bigint, 0::bigint, 0::bigint;
    END IF;
END $$;

-- Moves the expiry, only forward. Outcomes: extended | holdClosed | unknownHold.
CREATE FUNCTION extend_hold_v1(p_hold_id uuid, p_expires_at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
BEGIN
    IF p_expires_at IS NULL THEN
        RAISE EXCEPTION 'A hold needs an expiry.' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    UPDATE holds h SET expires_at = greatest(h.expires_at, p_expires_at) WHERE h.hold_id = p_hold_id AND h.closed_at IS NULL;
    IF FOUND THEN
        RETURN 'extended';
    END IF;

    PERFORM 1 FROM holds h WHERE h.hold_id = p_hold_id;
    RETURN CASE WHEN FOUND THEN 'holdClosed' ELSE 'unknownHold' END;
END $$;

-- What a job has cost so far and who earned it; no row for an unknown hold.
CREATE FUNCTION hold_money_v1(p_hold_id uuid)
RETURNS TABLE (held bigint, captured bigint, released bigint, node bigint, developer bigint, platform bigint, closed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
    SELECT h.amount, h.captured, CASE WHEN h.closed_at IS NULL THEN 0 ELSE h.amount - h.captured END,
        coalesce(c.node, 0)::bigint, coalesce(c.developer, 0)::bigint, coalesce(c.platform, 0)::bigint, h.closed_at IS NOT NULL
    FROM holds h
    LEFT JOIN LATERAL (
        SELECT sum(node_share) AS node, sum(developer_share) AS developer, sum(platform_share) AS platform
        FROM captures WHERE hold_id = h.hold_id) c ON true
    WHERE h.hold_id = p_hold_id
$$;

REVOKE ALL ON FUNCTION close_hold_v1(uuid, text), extend_hold_v1(uuid, timestamptz), hold_money_v1(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION close_hold_v1(uuid, text), extend_hold_v1(uuid, timestamptz), hold_money_v1(uuid) TO rendertrust_scheduler;

-- What a hold still has room for, asked with every lease: reads the hold alone, so it costs the same however many units were captured.
CREATE FUNCTION hold_room_v1(p_hold_id uuid)
RETURNS TABLE (held bigint, captured bigint, closed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
    SELECT h.amount, h.captured, h.closed_at IS NOT NULL FROM holds h WHERE h.hold_id = p_hold_id
$$;

REVOKE ALL ON FUNCTION hold_room_v1(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_room_v1(uuid) TO rendertrust_scheduler;

-- Whether a closed hold's money has arrived in the books, for whoever must not call a job settled before; no row for an unknown hold.
CREATE FUNCTION hold_settled_v1(p_hold_id uuid)
RETURNS TABLE (captured bigint, unposted bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
    SELECT h.captured, (SELECT count(*) FROM captures c WHERE c.hold_id = h.hold_id AND c.posted_at IS NULL)
    FROM holds h WHERE h.hold_id = p_hold_id
$$;
REVOKE ALL ON FUNCTION hold_settled_v1(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_settled_v1(uuid) TO rendertrust_scheduler;

-- Closes holds past their expiry; returns how many. A job that still runs extends its hold (extend_hold_v1), so that none of a live attempt is here.
CREATE FUNCTION expire_holds(p_now timestamptz, p_limit int) RETURNS int
LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE
    v_closed int;
BEGIN
    -- Locked ones are just being captured, extended or closed: the next sweep sees what became of them.
    WITH due AS (
        SELECT h.hold_id FROM holds h WHERE h.closed_at IS NULL AND h.expires_at < p_now
        ORDER BY h.expires_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE holds h SET closed_at = p_now, close_reason = 'expired' FROM due WHERE h.hold_id = due.hold_id;
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    RETURN v_closed;
END $$;
REVOKE ALL ON FUNCTION expire_holds(timestamptz, int) FROM PUBLIC;

-- Tells others of transfers: what happened on topic ledger-events, the same facts for the evidence log on topic evidence.
CREATE FUNCTION announce_transfers(p_transfers uuid[]) RETURNS void
LANGUAGE sql SET search_path = ledger, pg_temp AS $$
    INSERT INTO outbox (message_id, component, topic, payload)
    SELECT derive_id(topic || ':' || t.transfer_id), 'pubsub', topic, jsonb_build_object(
        'type', 'transferPosted', 'transferId', t.transfer_id, 'kind', t.kind, 'reference', t.reference, 'jobId', t.job_id, 'at', t.at,
        'entries', (
            SELECT jsonb_agg(jsonb_build_object(
                'entryId', e.entry_id, 'account', e.account, 'currency', e.currency, 'amountMicrocredits', e.amount_microcredits) ORDER BY e.entry_id)
            FROM ledger_entries e WHERE e.transfer_id = t.transfer_id))
    FROM transfers t CROSS JOIN (VALUES ('ledger-events'), ('evidence')) topics (topic)
    WHERE t.transfer_id = ANY (p_transfers)
    ORDER BY t.at, t.transfer_id
    ON CONFLICT (message_id) DO NOTHING
$$;
REVOKE ALL ON FUNCTION announce_transfers(uuid[]) FROM PUBLIC;

-- Credits from nothing, for development. Outcomes in the order of the checks: created | alreadyCreated | conflictingAmount.
CREATE FUNCTION top_up(p_top_up_id uuid, p_tenant_id uuid, p_amount bigint, p_now timestamptz) RETURNS text
LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE
    v_account text := 'creator:' || p_tenant_id;
    v_transfer uuid := derive_id('transfer:topUp:' || p_top_up_id);
BEGIN
    IF p_amount <= 0 THEN
        RAISE EXCEPTION 'A top-up is above 0 (it is %).', p_amount USING ERRCODE = 'invalid_parameter_value';
    END IF;

    INSERT INTO transfers (transfer_id, kind, reference, at) VALUES (v_transfer, 'topUp', p_top_up_id::text, p_now) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM 1 FROM ledger_entries e WHERE e.transfer_id = v_transfer AND e.account = v_account AND e.amount_microcredits = p_amount;
        RETURN CASE WHEN FOUND THEN 'alreadyCreated' ELSE 'conflictingAmount' END;
    END IF;

    INSERT INTO accounts (account, kind, tenant_id) VALUES (v_account, 'creator', p_tenant_id) ON CONFLICT DO NOTHING;
    INSERT INTO ledger_entries (transfer_id, account, amount_microcredits)
    VALUES (v_transfer, 'issuance:development', -p_amount), (v_transfer, v_account, p_amount);
    PERFORM announce_transfers(ARRAY[v_transfer]);
    RETURN 'created';
END $$;
REVOKE ALL ON FUNCTION top_up(uuid, uuid, bigint, timestamptz) FROM PUBLIC;

-- Posts captures into the books, oldest first; returns how many. One transaction: all of a batch or nothing of it.
CREATE FUNCTION post_captures(p_now timestamptz, p_accept_seconds int, p_limit int) RETURNS int
LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE
    v_ids text[];
    v_transfers uuid[];
BEGIN
    -- One at a time keeps the order; whoever comes second finds the work done.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ledger:post', 0)) THEN
        RETURN 0;
    END IF;

    SELECT array_agg(c.capture_id) INTO v_ids
    FROM (SELECT capture_id FROM captures WHERE posted_at IS NULL ORDER BY sequence LIMIT p_limit FOR NO KEY UPDATE) c;
    IF v_ids IS NULL THEN
        RETURN 0;
    END IF;

    INSERT INTO accounts (account, kind, tenant_id)
    SELECT DISTINCT 'earnings_pending:' || s.tenant_id, 'earnings_pending', s.tenant_id
    FROM captures c CROSS JOIN LATERAL (VALUES (c.node_tenant_id, c.node_share), (c.developer_tenant_id, c.developer_share)) s (tenant_id, share)
    WHERE c.capture_id = ANY (v_ids) AND s.share > 0
    ORDER BY 1
    ON CONFLICT DO NOTHING;

    WITH made AS (
        INSERT INTO transfers (transfer_id, kind, reference, job_id, at)
        SELECT derive_id('transfer:capture:' || c.capture_id), 'capture', c.capture_id, h.job_id, p_now
        FROM captures c JOIN holds h ON h.hold_id = c.hold_id
        WHERE c.capture_id = ANY (v_ids) AND c.charge > 0
        RETURNING transfer_id)
    SELECT array_agg(transfer_id) INTO v_transfers FROM made;

    -- Before the entries: held goes down first, so that the balance is never below it.
    UPDATE captures c SET
        posted_at = p_now,
        transfer_id = CASE WHEN c.charge > 0 THEN derive_id('transfer:capture:' || c.capture_id) END,
        release_at = p_now + make_interval(secs => p_accept_seconds)
    WHERE c.capture_id = ANY (v_ids);

    INSERT INTO ledger_entries (transfer_id, account, amount_microcredits)
    SELECT c.transfer_id, e.account, e.amount
    FROM captures c JOIN holds h ON h.hold_id = c.hold_id
    CROSS JOIN LATERAL (VALUES
        (1, h.account, -c.charge),
        (2, 'earnings_pending:' || c.node_tenant_id, c.node_share),
        (3, 'earnings_pending:' || c.developer_tenant_id, c.developer_share),
        (4, 'platform:revenue', c.platform_share)) e (place, account, amount)
    WHERE c.capture_id = ANY (v_ids) AND e.amount <> 0
    ORDER BY c.sequence, e.place;

    INSERT INTO module_gross AS g (module_name, gross_microcredits)
    SELECT split_part(c.module, '@', 1), sum(c.charge) FROM captures c WHERE c.capture_id = ANY (v_ids) GROUP BY 1 ORDER BY 1
    ON CONFLICT (module_name) DO UPDATE SET gross_microcredits = g.gross_microcredits + excluded.gross_microcredits;

    INSERT INTO usage_events (
        usage_event_id, capture_id, tenant_id, job_id, unit_index, attempt_id, module, node_tenant_id, developer_tenant_id,
        metered_ms, charge, node_share, developer_share, platform_share, at)
    SELECT derive_id('usage:' || c.capture_id), c.capture_id, h.tenant_id, h.job_id, c.unit_index, c.attempt_id, c.module, c.node_tenant_id,
        c.developer_tenant_id, c.metered_ms, c.charge, c.node_share, c.developer_share, c.platform_share, c.captured_at
    FROM captures c JOIN holds h ON h.hold_id = c.hold_id WHERE c.capture_id = ANY (v_ids) ORDER BY c.sequence;

    INSERT INTO outbox (message_id, component, topic, payload)
    SELECT u.usage_event_id, 'pubsub', 'usage', jsonb_build_object(
        'usageEventId', u.usage_event_id, 'tenantId', u.tenant_id, 'jobId', u.job_id, 'unitIndex', u.unit_index, 'attemptId', u.attempt_id,
        'module', u.module, 'nodeTenantId', u.node_tenant_id, 'developerTenantId', u.developer_tenant_id, 'meteredMilliseconds', u.metered_ms,
        'chargeMicrocredits', u.charge, 'nodeShareMicrocredits', u.node_share, 'developerShareMicrocredits', u.developer_share,
        'platformShareMicrocredits', u.platform_share, 'at', u.at)
    FROM usage_events u JOIN captures c ON c.capture_id = u.capture_id WHERE u.capture_id = ANY (v_ids) ORDER BY c.sequence
    ON CONFLICT (message_id) DO NOTHING;

    PERFORM announce_transfers(v_transfers);
    RETURN cardinality(v_ids);
END $$;
REVOKE ALL ON FUNCTION post_captures(timestamptz, int, int) FROM PUBLIC;

-- Moves what nodes and developers earned from pending to theirs once the time to object has passed; returns how many captures.
CREATE FUNCTION release_earnings(p_now timestamptz, p_limit int) RETURNS int
LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE
    v_ids text[];
    v_transfers uuid[];
BEGIN
    -- The same lock as posting: both change the accounts of pending earnings.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ledger:post', 0)) THEN
        RETURN 0;
    END IF;

    SELECT array_agg(c.capture_id) INTO v_ids
    FROM (
        SELECT capture_id FROM captures
        WHERE posted_at IS NOT NULL AND released_at IS NULL AND release_at <= p_now
        ORDER BY release_at, sequence LIMIT p_limit FOR NO KEY UPDATE) c;
    IF v_ids IS NULL THEN
        RETURN 0;
    END IF;

    INSERT INTO accounts (account, kind, tenant_id)
    SELECT DISTINCT 'earnings:' || s.tenant_id, 'earnings', s.tenant_id
    FROM captures c CROSS JOIN LATERAL (VALUES (c.node_tenant_id, c.node_share), (c.developer_tenant_id, c.developer_share)) s (tenant_id, share)
    WHERE c.capture_id = ANY (v_ids) AND s.share > 0
    ORDER BY 1
    ON CONFLICT DO NOTHING;

    WITH made AS (
        INSERT INTO transfers (transfer_id, kind, reference, job_id, at)
        SELECT derive_id('transfer:release:' || c.capture_id), 'release', c.capture_id, h.job_id, p_now
        FROM captures c JOIN holds h ON h.hold_id = c.hold_id
        WHERE c.capture_id = ANY (v_ids) AND c.node_share + c.developer_share > 0
        RETURNING transfer_id)
    SELECT array_agg(transfer_id) INTO v_transfers FROM made;

    INSERT INTO ledger_entries (transfer_id, account, amount_microcredits)
    SELECT derive_id('transfer:release:' || c.capture_id), e.account, e.amount
    FROM captures c
    CROSS JOIN LATERAL (VALUES
        (1, 'earnings_pending:' || c.node_tenant_id, -c.node_share),
        (2, 'earnings:' || c.node_tenant_id, c.node_share),
        (3, 'earnings_pending:' || c.developer_tenant_id, -c.developer_share),
        (4, 'earnings:' || c.developer_tenant_id, c.developer_share)) e (place, account, amount)
    WHERE c.capture_id = ANY (v_ids) AND e.amount <> 0
    ORDER BY c.sequence, e.place;

    UPDATE captures c SET released_at = p_now WHERE c.capture_id = ANY (v_ids);
    PERFORM announce_transfers(v_transfers);
    RETURN cardinality(v_ids);
END $$;
REVOKE ALL ON FUNCTION release_earnings(timestamptz, int) FROM PUBLIC;
