using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Placement;

/// <summary>A unit that this placer may place until its claim runs out.</summary>
internal sealed record ClaimedUnit(JobId JobId, int UnitIndex, DateTimeOffset ReadyAt, int AttemptCount, UnitLane Lane);

/// <summary>
/// Claims, parks and examines pending rows. A claim is a short transaction of its own: the lease that follows runs elsewhere, under the node's owner,
/// and deletes the row only if the claim still stands. A placer that died leaves claims that run out.
/// </summary>
internal sealed class ClaimUnits(NpgsqlDataSource dataSource, TimeProvider time, IOptions<SchedulerOptions> scheduler)
{
    // Bounds one claim; the next one goes on, since claimed and parked rows drop out.
    private const int MostJobs = 500;
    public const int MostUnits = 256;

    /// <summary>Rows not yet examined, and those whose claim ran out.</summary>
    public async Task<List<ClaimedUnit>> ClaimNewAsync(Guid claimId, int wanted, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();

        // Jobs take turns (row number within the job first), those served longest ago before others: a long job does not keep a short one waiting.
        await using var command = dataSource.Command(
            $"""
            WITH found AS (
                SELECT u.job_id, u.unit_index, row_number() OVER (PARTITION BY u.job_id ORDER BY u.unit_index) AS turn, j.last_leased_at, j.submitted_at
                FROM (SELECT job_id, last_leased_at, submitted_at FROM jobs j
                    WHERE status IN ('submitted', 'running') AND EXISTS (SELECT 1 FROM pending_units p WHERE p.job_id = j.job_id AND p.state <> 'parked')
                    ORDER BY last_leased_at NULLS FIRST, submitted_at LIMIT {MostJobs}) j
                CROSS JOIN LATERAL (
                    SELECT p.job_id, p.unit_index FROM pending_units p
                    WHERE p.job_id = j.job_id AND p.state <> 'parked' AND (p.state = 'new' OR p.claimed_until < $2)
                    ORDER BY p.unit_index LIMIT $4 FOR UPDATE SKIP LOCKED) u),
            taken AS (SELECT job_id, unit_index FROM found ORDER BY turn, last_leased_at NULLS FIRST, submitted_at LIMIT $4)
            {Take}
            """,
            claimId, now, now.AddSeconds(scheduler.Value.ClaimSeconds), Math.Clamp(wanted, 1, MostUnits), new TypedValue(null, NpgsqlTypes.NpgsqlDbType.TimestampTz));
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>
    /// Parked rows that one of these nodes, which have room, could take; those not examined since <paramref name="since"/>.
    /// Their wait for dispatch counts from that moment. The filter keeps jobs that wait for other nodes from standing in the way.
    /// </summary>
    public async Task<List<ClaimedUnit>> ClaimParkedAsync(
        Guid claimId, int wanted, IReadOnlyCollection<FleetNode> nodesWithRoom, DateTimeOffset since, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var command = dataSource.Command(
            $"""
            WITH room AS (
                SELECT * FROM unnest($6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[]) AS n (recipient_key_id, device_kind, memory_bytes, scratch_bytes, lane)),
            found AS (
                SELECT u.job_id, u.unit_index, row_number() OVER (PARTITION BY u.job_id ORDER BY u.examined_at, u.unit_index) AS turn, j.last_leased_at, j.submitted_at
                FROM (SELECT job_id, last_leased_at, submitted_at, fit.lanes FROM jobs j
                    CROSS JOIN LATERAL (
                        SELECT array_agg(DISTINCT n.lane) AS lanes FROM room n
                        WHERE n.recipient_key_id = ANY(j.recipients) AND n.device_kind = j.device_kind
                            AND n.memory_bytes >= j.memory_bytes AND n.scratch_bytes >= j.scratch_bytes) fit
                    WHERE EXISTS (SELECT 1 FROM pending_units WHERE state = 'parked') AND status IN ('submitted', 'running') AND fit.lanes IS NOT NULL
                        AND EXISTS (SELECT 1 FROM pending_units p WHERE p.job_id = j.job_id AND p.state = 'parked' AND p.examined_at < $5 AND p.lane = ANY (fit.lanes))
                    ORDER BY last_leased_at NULLS FIRST, submitted_at LIMIT {MostJobs}) j
                CROSS JOIN LATERAL (
                    SELECT p.job_id, p.unit_index, p.examined_at FROM pending_units p
                    WHERE p.job_id = j.job_id AND p.state = 'parked' AND p.examined_at < $5 AND p.lane = ANY (j.lanes) AND (p.retry_at IS NULL OR p.retry_at <= $2)
                    ORDER BY p.examined_at, p.unit_index LIMIT $4 FOR UPDATE SKIP LOCKED) u),
            taken AS (SELECT job_id, unit_index FROM found ORDER BY turn, last_leased_at NULLS FIRST, submitted_at LIMIT $4)
            {Take}
            """,
            claimId, now, now.AddSeconds(scheduler.Value.ClaimSeconds), Math.Clamp(wanted, 1, MostUnits), since,
            nodesWithRoom.Select(node => node.RecipientKeyId).ToArray(), nodesWithRoom.Select(node => SqlNames.Of(node.Capabilities.DeviceKind)).ToArray(),
            nodesWithRoom.Select(node => node.FreeMemoryBytes).ToArray(), nodesWithRoom.Select(node => node.Capabilities.ScratchBytes).ToArray(),
            nodesWithRoom.Select(node => SqlNames.Of(node.Lane)).ToArray());
        return await ReadAsync(command, cancellationToken);
    }

    // $5 is null for rows that were ready all the time, else the moment that room came. The commit need not wait for the disk: a claim that a crash of
    // Postgres takes back is a row that is placed again, and the lease, which does wait, stands only on a claim that it finds.
    private const string Take =
        """
        , quick AS (SELECT set_config('synchronous_commit', 'off', true))
        UPDATE pending_units p
        SET state = 'claimed', claim_id = $1, claimed_until = $3, parked_for = NULL, parked_reason = NULL, retry_at = NULL, ready_at = coalesce($5, p.ready_at)
        FROM taken t JOIN units u USING (job_id, unit_index) CROSS JOIN quick
        WHERE p.job_id = t.job_id AND p.unit_index = t.unit_index
        RETURNING p.job_id, p.unit_index, p.ready_at, u.attempt_count, p.lane
        """;

    private static async Task<List<ClaimedUnit>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var units = new List<ClaimedUnit>();
        while (await reader.ReadAsync(cancellationToken))
        {
            units.Add(new ClaimedUnit(new(reader.GetGuid(0)), reader.GetInt32(1), reader.Instant(2), reader.GetInt32(3), SqlNames.Parse<UnitLane>(reader.GetString(4))));
        }

        return units;
    }

    /// <summary>
    /// Puts claimed units of one job and lane back to wait, with the reason. <paramref name="wholeJob"/> parks the job's unexamined units in that lane with
    /// them: they would fare alike.
    /// </summary>
    public async Task ParkAsync(
        JobId jobId, UnitLane lane, IReadOnlyCollection<int> unitIndexes, Guid claimId, WaitingFor waitingFor, string reason, bool wholeJob, DateTimeOffset? retryAt, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            """
            UPDATE pending_units SET state = 'parked', claim_id = NULL, claimed_until = NULL, parked_for = $4, parked_reason = $5, retry_at = $7, examined_at = $8
            WHERE job_id = $1 AND ((unit_index = ANY($2) AND claim_id = $3) OR ($6 AND state = 'new' AND lane = $9))
            """,
            jobId.Value, unitIndexes.ToArray(), claimId, SqlNames.Of(waitingFor), reason, wholeJob,
            new TypedValue(retryAt?.ToUniversalTime(), NpgsqlTypes.NpgsqlDbType.TimestampTz), time.GetUtcNow(), SqlNames.Of(lane));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Gives a claim back, to be placed anew at once.</summary>
    public async Task UnclaimAsync(JobId jobId, int unitIndex, Guid claimId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            "UPDATE pending_units SET state = 'new', claim_id = NULL, claimed_until = NULL WHERE job_id = $1 AND unit_index = $2 AND claim_id = $3",
            jobId.Value, unitIndex, claimId);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>What the job asks of a node, and what this unit has already lived through.</summary>
    public async Task<UnitNeeds?> ReadNeedsAsync(JobId jobId, int unitIndex, SchedulerOptions options, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        return await ReadNeedsAsync(connection, jobId, unitIndex, options, time.GetUtcNow(), cancellationToken);
    }

    public static async Task<UnitNeeds?> ReadNeedsAsync(
        NpgsqlConnection connection, JobId jobId, int unitIndex, SchedulerOptions options, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.Add($"SELECT {Job.Columns} FROM jobs WHERE job_id = $1", jobId.Value);
        batch.Add(
            """
            SELECT node_id, status, count(*), max(ended_at), (array_agg(reason ORDER BY number DESC))[1]
            FROM attempts WHERE job_id = $1 AND unit_index = $2 AND (status IN ('failed', 'refused') OR failure_class = 'timeout')
            GROUP BY node_id, status
            """,
            jobId.Value, unitIndex);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        var job = Job.Read(reader);
        var failed = new HashSet<NodeId>();
        var refused = new Dictionary<NodeId, string>();
        await reader.NextResultAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var node = new NodeId(reader.GetGuid(0));
            if (SqlNames.Parse<AttemptStatus>(reader.GetString(1)) != AttemptStatus.Refused)
            {
                failed.Add(node);
                continue;
            }

            var count = (int)reader.GetInt64(2);
            if (count >= options.RefusalsPerNode)
            {
                failed.Add(node);
            }
            else if (reader.Time(3) is { } last && last + FailureRules.RefusalPause(count) > now)
            {
                refused[node] = reader.Text(4) ?? "no reason given";
            }
        }

        return new UnitNeeds(
            job.TenantId, job.DeviceKind, job.MemoryBytes, job.ScratchBytes, options.NodeRate(job.DeviceKind), job.Recipients, failed, refused, Trace: job.Trace);
    }
}
