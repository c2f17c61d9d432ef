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
