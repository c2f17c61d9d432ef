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
