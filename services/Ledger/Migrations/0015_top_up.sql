-- Credits from nothing, for development. Outcomes in the order of the checks: created | alreadyCreated | conflictingAmount.
CREATE FUNCTION top_up(p_top_up_id uuid, p_tenant_id uuid, p_amount bigint, p_now timestamptz) RETURNS text
LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE
    v_account text := 'creator:' || p_tenant_id;
    v_transfer uuid := derive_id('transfer:topUp:' || p_top_up_id);
BEGIN
    IF p_amount <= 0 THEN
        RAISE EXCEPTION 'A top-up is above 0 (it is %).', p_amount USING ERRCODE = 'invalid_parameter_value';
    END IF;

    INSERT INTO transfers (transfer_id, kind, reference, at) VALUES (v_transfer, 'topUp', p_top_up_id::text, p_now) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM 1 FROM ledger_entries e WHERE e.transfer_id = v_transfer AND e.account = v_account AND e.amount_microcredits = p_amount;
        RETURN CASE WHEN FOUND THEN 'alreadyCreated' ELSE 'conflictingAmount' END;
    END IF;

    INSERT INTO accounts (account, kind, tenant_id) VALUES (v_account, 'creator', p_tenant_id) ON CONFLICT DO NOTHING;
    INSERT INTO ledger_entries (transfer_id, account, amount_microcredits)
    VALUES (v_transfer, 'issuance:development', -p_amount), (v_transfer, v_account, p_amount);
    PERFORM announce_transfers(ARRAY[v_transfer]);
    RETURN 'created';
END $$;
REVOKE ALL ON FUNCTION top_up(uuid, uuid, bigint, timestamptz) FROM PUBLIC;
