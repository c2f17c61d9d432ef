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
