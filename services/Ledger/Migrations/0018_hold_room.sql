-- What a hold still has room for, asked with every lease: reads the hold alone, so it costs the same however many units were captured.
CREATE FUNCTION hold_room_v1(p_hold_id uuid)
RETURNS TABLE (held bigint, captured bigint, closed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
    SELECT h.amount, h.captured, h.closed_at IS NOT NULL FROM holds h WHERE h.hold_id = p_hold_id
$$;

REVOKE ALL ON FUNCTION hold_room_v1(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_room_v1(uuid) TO rendertrust_scheduler;
