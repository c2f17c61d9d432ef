-- Captures become entries here, behind the request path. Each step is one transaction per batch and can be repeated:
-- a capture that is posted has posted_at, its transfer has the effect key of the capture.
CREATE FUNCTION post_captures_v1(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    item record;
    posted int := 0;
    transfer uuid;
BEGIN
    FOR item IN
        SELECT c.*, h.account, h.job_id, h.tenant_id AS payer FROM captures c JOIN holds h USING (hold_id)
        WHERE c.posted_at IS NULL ORDER BY h.account, c.captured_at LIMIT p_limit FOR UPDATE OF c SKIP LOCKED
    LOOP
        IF item.charge > 0 THEN
            transfer := gen_random_uuid();
            INSERT INTO transfers (transfer_id, effect_key, kind, job_id) VALUES (transfer, 'charge/' || item.capture_id, 'charge', item.job_id);
            -- Before the entries: posted_balance may not fall below held even for a moment.
            UPDATE accounts SET held = held - item.charge WHERE account = item.account;
            INSERT INTO ledger_entries (transfer_id, account, amount_microcredits)
            SELECT transfer, share.account, share.amount FROM (
                SELECT item.account, -item.charge AS amount
                UNION ALL SELECT open_account('earnings_pending', item.node_tenant_id), item.node_share
                UNION ALL SELECT open_account('earnings_pending', item.developer_tenant_id), item.developer_share
                UNION ALL SELECT 'platform:revenue', item.platform_share) share
            WHERE share.amount <> 0;
        END IF;
        INSERT INTO usage_events (capture_id, tenant_id, job_id, unit_index, module, node_tenant_id, metered_ms, charge, at)
        VALUES (item.capture_id, item.payer, item.job_id, item.unit_index, item.module, item.node_tenant_id, item.metered_ms, item.charge, item.captured_at);
        INSERT INTO module_gross AS g (module_name, gross) VALUES (split_part(item.module, '@', 1), item.charge)
        ON CONFLICT (module_name) DO UPDATE SET gross = g.gross + excluded.gross;
        UPDATE captures SET posted_at = clock_timestamp() WHERE capture_id = item.capture_id;
        INSERT INTO outbox (message_id, component, topic, payload) VALUES
            (gen_random_uuid(), 'pubsub', 'usage', jsonb_build_object('captureId', item.capture_id, 'jobId', item.job_id, 'tenantId', item.payer,
                'unitIndex', item.unit_index, 'module', item.module, 'nodeTenantId', item.node_tenant_id, 'meteredMs', item.metered_ms, 'chargeMicrocredits', item.charge)),
            (gen_random_uuid(), 'pubsub', 'evidence', jsonb_build_object('kind', 'charge', 'captureId', item.capture_id, 'jobId', item.job_id,
                'chargeMicrocredits', item.charge, 'nodeShareMicrocredits', item.node_share, 'developerShareMicrocredits', item.developer_share, 'platformShareMicrocredits', item.platform_share));
        posted := posted + 1;
    END LOOP;
    -- $1,000 = 10,000 credits of lifetime gross; the tier never goes back.
    UPDATE module_gross SET developer_percent = 85 WHERE gross > 10000000000 AND developer_percent < 85;
    RETURN posted;
END $$;

-- Earnings become payable once the creator's time to dispute is over.
CREATE FUNCTION release_earnings_v1(p_limit int, p_accept_seconds int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    item record;
    released int := 0;
    transfer uuid;
BEGIN
    FOR item IN
        SELECT c.*, h.job_id FROM captures c JOIN holds h USING (hold_id)
        WHERE c.posted_at IS NOT NULL AND c.released_at IS NULL AND c.posted_at <= clock_timestamp() - make_interval(secs => p_accept_seconds)
        ORDER BY c.node_tenant_id, c.developer_tenant_id LIMIT p_limit FOR UPDATE OF c SKIP LOCKED
    LOOP
        IF item.node_share + item.developer_share > 0 THEN
            transfer := gen_random_uuid();
            INSERT INTO transfers (transfer_id, effect_key, kind, job_id) VALUES (transfer, 'release/' || item.capture_id, 'release', item.job_id);
            INSERT INTO ledger_entries (transfer_id, account, amount_microcredits)
            SELECT transfer, share.account, share.amount FROM (
                SELECT 'earnings_pending:' || item.node_tenant_id AS account, -item.node_share AS amount
                UNION ALL SELECT open_account('earnings', item.node_tenant_id), item.node_share
                UNION ALL SELECT 'earnings_pending:' || item.developer_tenant_id, -item.developer_share
                UNION ALL SELECT open_account('earnings', item.developer_tenant_id), item.developer_share) share
            WHERE share.amount <> 0;
        END IF;
        UPDATE captures SET released_at = clock_timestamp() WHERE capture_id = item.capture_id;
        released := released + 1;
    END LOOP;
    RETURN released;
END $$;
