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
