-- Whether a closed hold's money has arrived in the books, for whoever must not call a job settled before; no row for an unknown hold.
CREATE FUNCTION hold_settled_v1(p_hold_id uuid)
RETURNS TABLE (captured bigint, unposted bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
    SELECT h.captured, (SELECT count(*) FROM captures c WHERE c.hold_id = h.hold_id AND c.posted_at IS NULL)
    FROM holds h WHERE h.hold_id = p_hold_id
$$;
REVOKE ALL ON FUNCTION hold_settled_v1(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_settled_v1(uuid) TO rendertrust_scheduler;
