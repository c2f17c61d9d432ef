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
