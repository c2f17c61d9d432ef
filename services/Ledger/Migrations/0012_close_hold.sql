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
