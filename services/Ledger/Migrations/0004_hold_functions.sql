-- The only rules on holds. The scheduler calls them in its own transactions, the HTTP slice calls the same ones.
-- Every function looks up by id first: a repeat answers as the first call did, whatever has changed since.

CREATE FUNCTION place_hold_v1(p_hold_id uuid, p_tenant_id uuid, p_amount bigint, p_expires_at timestamptz, p_job_id uuid)
RETURNS TABLE (outcome text, available_microcredits bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE
    purse accounts%ROWTYPE;
    earlier holds%ROWTYPE;
BEGIN
    IF p_amount IS NULL OR p_amount <= 0 THEN
        RAISE EXCEPTION 'A hold of % micro-credits cannot be placed; it must be positive.', p_amount USING ERRCODE = 'check_violation';
    END IF;
    -- Locked first: two calls for one account wait for each other here, so neither look-up below can be outrun.
    SELECT * INTO purse FROM accounts WHERE account = 'creator:' || p_tenant_id FOR UPDATE;
    SELECT * INTO earlier FROM holds WHERE hold_id = p_hold_id;
    IF FOUND THEN
        outcome := CASE WHEN earlier.tenant_id = p_tenant_id AND earlier.amount = p_amount AND earlier.job_id = p_job_id
            THEN 'alreadyPlaced' ELSE 'conflictingAmount' END;
    ELSIF purse.account IS NULL THEN
        outcome := 'insufficientCredits';
    ELSIF purse.blocked THEN
        outcome := 'accountBlocked';
    ELSIF purse.posted_balance - purse.held < p_amount THEN
        outcome := 'insufficientCredits';
    ELSE
        UPDATE accounts SET held = held + p_amount WHERE account = purse.account;
        INSERT INTO holds (hold_id, account, tenant_id, job_id, amount, expires_at)
        VALUES (p_hold_id, purse.account, p_tenant_id, p_job_id, p_amount, p_expires_at);
        purse.held := purse.held + p_amount;
        outcome := 'placed';
    END IF;
    available_microcredits := coalesce(purse.posted_balance - purse.held, 0);
    RETURN NEXT;
END $$;

-- Charge = floor(metered x rate / 60000); node likewise at its rate; the developer's percentage of the rest, rounded down;
-- the platform has what remains. A unit is charged once, whichever attempt delivered it.
CREATE FUNCTION capture_unit_v1(
    p_hold_id uuid, p_capture_id text, p_unit_index int, p_attempt_id uuid, p_metered_ms bigint,
    p_rate_per_minute bigint, p_node_rate_per_minute bigint, p_node_tenant_id uuid, p_developer_tenant_id uuid, p_module text)
RETURNS TABLE (outcome text, charge bigint, node_share bigint, developer_share bigint, platform_share bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
#variable_conflict use_column
DECLARE
    hold holds%ROWTYPE;
    earlier captures%ROWTYPE;
    percent int;
BEGIN
    SELECT * INTO hold FROM holds WHERE hold_id = p_hold_id FOR UPDATE;
    SELECT * INTO earlier FROM captures c WHERE c.capture_id = p_capture_id OR (c.hold_id = p_hold_id AND c.unit_index = p_unit_index) LIMIT 1;
    IF FOUND THEN
        RETURN QUERY SELECT
            CASE WHEN earlier.hold_id = p_hold_id AND earlier.unit_index = p_unit_index THEN 'alreadyCaptured' ELSE 'conflictingAmount' END,
            earlier.charge, earlier.node_share, earlier.developer_share, earlier.platform_share;
        RETURN;
    END IF;
    IF hold.hold_id IS NULL THEN
        RETURN QUERY SELECT 'unknownHold', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
        RETURN;
    END IF;
    IF hold.status = 'closed' THEN
        RETURN QUERY SELECT 'holdClosed', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
        RETURN;
    END IF;
    SELECT g.developer_percent INTO percent FROM module_gross g WHERE g.module_name = split_part(p_module, '@', 1);
    percent := coalesce(percent, 70);
    -- numeric: the product of two bigints may not fit a third.
    charge := floor(p_metered_ms::numeric * p_rate_per_minute / 60000)::bigint;
    node_share := floor(p_metered_ms::numeric * p_node_rate_per_minute / 60000)::bigint;
    developer_share := floor((charge - node_share)::numeric * percent / 100)::bigint;
    platform_share := charge - node_share - developer_share;
    IF hold.captured + charge > hold.amount THEN
        RETURN QUERY SELECT 'exceedsHold', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
        RETURN;
    END IF;
    INSERT INTO captures (capture_id, hold_id, unit_index, attempt_id, module, metered_ms, rate_per_minute, node_rate_per_minute,
        node_tenant_id, developer_tenant_id, charge, node_share, developer_share, platform_share)
    VALUES (p_capture_id, p_hold_id, p_unit_index, p_attempt_id, p_module, p_metered_ms, p_rate_per_minute, p_node_rate_per_minute,
        p_node_tenant_id, p_developer_tenant_id, charge, node_share, developer_share, platform_share);
    UPDATE holds SET captured = captured + charge WHERE hold_id = p_hold_id;
    outcome := 'captured';
    RETURN NEXT;
END $$;

CREATE FUNCTION close_hold_v1(p_hold_id uuid, p_reason text)
RETURNS TABLE (outcome text, held bigint, captured bigint, released bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
#variable_conflict use_column
DECLARE hold holds%ROWTYPE;
BEGIN
    SELECT * INTO hold FROM holds WHERE hold_id = p_hold_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknownHold', 0::bigint, 0::bigint, 0::bigint;
        RETURN;
    END IF;
    IF hold.status = 'closed' THEN
        RETURN QUERY SELECT 'alreadyClosed', hold.amount, hold.captured, hold.amount - hold.captured;
        RETURN;
    END IF;
    UPDATE holds SET status = 'closed', closed_at = clock_timestamp(), close_reason = p_reason WHERE hold_id = p_hold_id;
    -- What was captured stays held until it is posted.
    UPDATE accounts SET held = held - (hold.amount - hold.captured) WHERE account = hold.account;
    RETURN QUERY SELECT 'closed', hold.amount, hold.captured, hold.amount - hold.captured;
END $$;

CREATE FUNCTION extend_hold_v1(p_hold_id uuid, p_expires_at timestamptz)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE hold holds%ROWTYPE;
BEGIN
    SELECT * INTO hold FROM holds WHERE hold_id = p_hold_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'unknownHold'; END IF;
    IF hold.status = 'closed' THEN RETURN 'holdClosed'; END IF;
    -- Never earlier: an old message must not shorten what a newer one has extended.
    UPDATE holds SET expires_at = greatest(expires_at, p_expires_at) WHERE hold_id = p_hold_id;
    RETURN 'extended';
END $$;

CREATE FUNCTION hold_money_v1(p_hold_id uuid)
RETURNS TABLE (held bigint, captured bigint, released bigint, node bigint, developer bigint, platform bigint, closed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
    SELECT h.amount, h.captured, CASE WHEN h.status = 'closed' THEN h.amount - h.captured ELSE 0 END,
        coalesce(sum(c.node_share), 0)::bigint, coalesce(sum(c.developer_share), 0)::bigint, coalesce(sum(c.platform_share), 0)::bigint, h.status = 'closed'
    FROM holds h LEFT JOIN captures c USING (hold_id) WHERE h.hold_id = p_hold_id GROUP BY h.hold_id
$$;

REVOKE ALL ON FUNCTION place_hold_v1, capture_unit_v1, close_hold_v1, extend_hold_v1, hold_money_v1 FROM PUBLIC;
GRANT USAGE ON SCHEMA ledger TO rendertrust_scheduler;
GRANT EXECUTE ON FUNCTION place_hold_v1, capture_unit_v1, close_hold_v1, extend_hold_v1, hold_money_v1 TO rendertrust_scheduler;
