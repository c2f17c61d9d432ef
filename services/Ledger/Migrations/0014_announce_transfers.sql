-- Tells others of transfers: what happened on topic ledger-events, the same facts for the evidence log on topic evidence.
CREATE FUNCTION announce_transfers(p_transfers uuid[]) RETURNS void
LANGUAGE sql SET search_path = ledger, pg_temp AS $$
    INSERT INTO outbox (message_id, component, topic, payload)
    SELECT derive_id(topic || ':' || t.transfer_id), 'pubsub', topic, jsonb_build_object(
        'type', 'transferPosted', 'transferId', t.transfer_id, 'kind', t.kind, 'reference', t.reference, 'jobId', t.job_id, 'at', t.at,
        'entries', (
            SELECT jsonb_agg(jsonb_build_object(
                'entryId', e.entry_id, 'account', e.account, 'currency', e.currency, 'amountMicrocredits', e.amount_microcredits) ORDER BY e.entry_id)
            FROM ledger_entries e WHERE e.transfer_id = t.transfer_id))
    FROM transfers t CROSS JOIN (VALUES ('ledger-events'), ('evidence')) topics (topic)
    WHERE t.transfer_id = ANY (p_transfers)
    ORDER BY t.at, t.transfer_id
    ON CONFLICT (message_id) DO NOTHING
$$;
REVOKE ALL ON FUNCTION announce_transfers(uuid[]) FROM PUBLIC;
