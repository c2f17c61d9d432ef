using Npgsql;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>
/// What the tables say afterwards, by SQL that shares nothing with the services. Each rule is a query for the rows that break it; the queries are
/// asked once everything has come to rest.
/// </summary>
internal static class Verdict
{
    /// <summary>Rows that say the platform is still at work.</summary>
    public static readonly IReadOnlyList<(string What, string Sql)> AtRest =
    [
        ("jobs that have not ended", "SELECT count(*) FROM scheduler.jobs WHERE ended_at IS NULL"),
        ("live attempts", "SELECT count(*) FROM scheduler.attempts WHERE status IN ('offered', 'running')"),
        ("attempts whose node has not confirmed that they stopped", "SELECT count(*) FROM scheduler.attempts WHERE status IN ('revoking', 'lost')"),
        ("signals that a saga has not acted on", "SELECT count(*) FROM scheduler.saga_signals"),
        ("sagas that have not done all they had to", "SELECT count(*) FROM scheduler.sagas WHERE done_at IS NULL"),
        ("open holds", "SELECT count(*) FROM ledger.holds WHERE closed_at IS NULL"),
        ("captures not yet posted", "SELECT count(*) FROM ledger.captures WHERE posted_at IS NULL"),
        ("earnings not yet released", "SELECT count(*) FROM ledger.captures WHERE released_at IS NULL"),
        ("messages in the scheduler's outbox", "SELECT count(*) FROM scheduler.outbox"),
        ("messages in the ledger's outbox", "SELECT count(*) FROM ledger.outbox"),
    ];

    public static readonly IReadOnlyList<(string What, string Sql)> Broken =
    [
        ("units of completed jobs that were not captured exactly once",
            """
            SELECT count(*) FROM scheduler.jobs j JOIN scheduler.units u USING (job_id)
            WHERE j.status = 'completed' AND 1 <> (SELECT count(*) FROM ledger.captures c WHERE c.hold_id = j.job_id AND c.unit_index = u.unit_index)
            """),
        ("units captured twice",
            "SELECT count(*) FROM (SELECT 1 FROM ledger.captures GROUP BY hold_id, unit_index HAVING count(*) > 1) twice"),
        ("units completed and not captured, or captured and not completed",
            """
            SELECT count(*) FROM scheduler.units u FULL JOIN ledger.captures c ON c.hold_id = u.job_id AND c.unit_index = u.unit_index
            WHERE (u.status IS NOT DISTINCT FROM 'completed') <> (c.capture_id IS NOT NULL)
            """),
        ("units completed under a stale token",
            """
            SELECT count(*) FROM scheduler.job_events e JOIN scheduler.attempts a ON a.attempt_id = (e.body ->> 'attemptId')::uuid
            WHERE e.kind = 'unitCompleted' AND (a.status <> 'completed' OR EXISTS (
                SELECT 1 FROM scheduler.attempts later
                WHERE later.job_id = a.job_id AND later.unit_index = a.unit_index AND later.fencing_token > a.fencing_token))
            """),
        ("captures by another attempt than the one that completed the unit",
            """
            SELECT count(*) FROM ledger.captures c
            WHERE NOT EXISTS (SELECT 1 FROM scheduler.attempts a WHERE a.attempt_id = c.attempt_id AND a.status = 'completed' AND a.unit_index = c.unit_index)
            """),
        ("units with two completed attempts",
            "SELECT count(*) FROM (SELECT 1 FROM scheduler.attempts WHERE status = 'completed' GROUP BY job_id, unit_index HAVING count(*) > 1) twice"),
        ("currencies whose entries do not sum to zero",
            "SELECT count(*) FROM (SELECT 1 FROM ledger.ledger_entries GROUP BY currency HAVING sum(amount_microcredits) <> 0) unbalanced"),
        ("transfers whose entries do not sum to zero",
            "SELECT count(*) FROM (SELECT 1 FROM ledger.ledger_entries GROUP BY transfer_id, currency HAVING sum(amount_microcredits) <> 0) unbalanced"),
        ("jobs whose creator paid something else than their captures",
            """
            SELECT count(*) FROM ledger.holds h WHERE coalesce((SELECT sum(charge) FROM ledger.captures c WHERE c.hold_id = h.hold_id), 0)
                <> coalesce((SELECT -sum(e.amount_microcredits) FROM ledger.ledger_entries e JOIN ledger.transfers t USING (transfer_id)
                    WHERE t.job_id = h.job_id AND e.account = h.account), 0)
            """),
        ("accounts that still hold credits back", "SELECT count(*) FROM ledger.accounts WHERE held <> 0"),
        ("jobs whose log has gaps, or another length than its counter",
            """
            SELECT count(*) FROM scheduler.jobs j
            WHERE (SELECT (count(*), coalesce(min(seq), 0), coalesce(max(seq), 0)) FROM scheduler.job_events e WHERE e.job_id = j.job_id) IS DISTINCT FROM (j.last_seq, 1::bigint, j.last_seq)
            """),
        ("jobs whose log does not end with its one end",
            """
            SELECT count(*) FROM scheduler.jobs j
            WHERE (SELECT array_agg(e.seq) FROM scheduler.job_events e
                WHERE e.job_id = j.job_id AND e.kind = 'statusChanged' AND e.body ->> 'status' IN ('completed', 'failed', 'canceled')) IS DISTINCT FROM ARRAY[j.last_seq]
            """),
        ("jobs whose log counts completed units backwards",
            """
            SELECT count(DISTINCT job_id) FROM (
                SELECT job_id, (body ->> 'unitsCompleted')::int AS done, lag((body ->> 'unitsCompleted')::int) OVER (PARTITION BY job_id ORDER BY seq) AS before
                FROM scheduler.job_events WHERE body ? 'unitsCompleted') counted
            WHERE done < before
            """),
        ("jobs with a second completion of a unit in their log",
            "SELECT count(*) FROM (SELECT 1 FROM scheduler.job_events WHERE kind = 'unitCompleted' GROUP BY job_id, body ->> 'unitIndex' HAVING count(*) > 1) twice"),
        ("units that wait although their job has ended", "SELECT count(*) FROM scheduler.pending_units"),
        ("ended jobs with units that have not", "SELECT count(*) FROM scheduler.units WHERE status IN ('pending', 'leased', 'undecided')"),
    ];

    public static async Task<IReadOnlyList<string>> ReadAsync(NpgsqlDataSource database, IEnumerable<(string What, string Sql)> rules, CancellationToken cancellationToken)
    {
        var found = new List<string>();
        foreach (var (what, sql) in rules)
        {
            await using var command = database.CreateCommand(sql);
            if ((long)(await command.ExecuteScalarAsync(cancellationToken))! is > 0 and var count)
            {
                found.Add($"{count} {what}");
            }
        }

        return found;
    }
}
