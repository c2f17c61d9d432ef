using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>
/// The only place where the status of a job or of a unit changes, each change with its reason and its event.
/// Every method adds statements to a batch of a transaction that holds the job's row lock and has looked at its present status.
/// </summary>
internal static class JobTransitions
{
    /// <summary>The first unit was acknowledged by a node.</summary>
    public static void Start(NpgsqlBatch batch, Job job, DateTimeOffset now)
    {
        JobEventLog.Append(
            batch, job.JobId, JobEventKind.StatusChanged,
            new JobEventBody(Status: JobStatus.Running, Reason: "The first unit runs.", UnitCount: job.UnitCount, UnitsCompleted: job.UnitsCompleted, UnitsFailed: job.UnitsFailed), now,
            ", status = 'running', started_at = $3");
    }

    /// <summary>
    /// Ends a job: closes its hold, drops what waits, takes the tokens of what still runs (their slots stay reserved until the node confirms).
    /// Completed units stay, and stay charged.
    /// </summary>
    public static void End(NpgsqlBatch batch, Job job, JobStatus status, string reason, DateTimeOffset now)
    {
        // In one order, as a session that opens takes them: the two may meet on several attempts of one node.
        batch.Add(
            """
            WITH current AS (
                SELECT attempt_id FROM attempts WHERE job_id = $1 AND status IN ('offered', 'running') ORDER BY attempt_id FOR NO KEY UPDATE)
            UPDATE attempts a SET status = 'revoking', reason = $2 FROM current c WHERE a.attempt_id = c.attempt_id
            """,
            job.JobId.Value, reason);
        batch.Add("DELETE FROM pending_units WHERE job_id = $1", job.JobId.Value);
        batch.Add("UPDATE units SET status = 'canceled', reason = $2 WHERE job_id = $1 AND status IN ('pending', 'leased', 'undecided')", job.JobId.Value, reason);
        batch.Add(
            """
            WITH job AS (
                UPDATE jobs SET status = $2, reason = $3, ended_at = $4, last_seq = last_seq + 1,
                    units_failed = (SELECT count(*) FROM units WHERE job_id = $1 AND status = 'failed')
                WHERE job_id = $1
                RETURNING last_seq, unit_count, units_completed, units_failed, charged_microcredits)
            INSERT INTO job_events (job_id, seq, kind, at, body)
            SELECT $1, last_seq, 'statusChanged', $4, jsonb_build_object(
                'status', $2::text, 'reason', $3::text, 'unitCount', unit_count, 'unitsCompleted', units_completed,
                'unitsFailed', units_failed, 'chargedMicrocredits', charged_microcredits)
            FROM job
            """,
            job.JobId.Value, SqlNames.Of(status), reason, now);
        batch.Add("SELECT outcome FROM ledger.close_hold_v1($1, $2)", job.JobId.Value, reason);
        batch.Add(
            """
            INSERT INTO outbox (message_id, component, topic, trace_parent, trace_state, payload)
            SELECT $2, $3, $4, $5, $6, jsonb_build_object(
                'kind', 'jobEnded', 'jobId', client_job_id, 'taskId', task_id, 'tenantId', tenant_id, 'module', module_name || '@' || module_version,
                'manifestSha256', manifest_sha256, 'status', status, 'unitCount', unit_count, 'unitsCompleted', units_completed,
                'unitsFailed', units_failed, 'meteredMilliseconds', metered_ms, 'chargedMicrocredits', charged_microcredits,
                'submittedAt', submitted_at, 'endedAt', ended_at)
            FROM jobs WHERE job_id = $1
            """,
            job.JobId.Value, Guid.CreateVersion7(), Topics.PubSub, Topics.Usage,
            new TypedValue(OutboxTrace.CurrentParent, NpgsqlDbType.Text), new TypedValue(OutboxTrace.CurrentState, NpgsqlDbType.Text));
        SagaSignals.Ended(batch, job.JobId, now);
    }

    /// <summary>The ledger has charged something else than the job says; the ledger is right.</summary>
    public static async Task CorrectChargeAsync(NpgsqlConnection connection, JobId jobId, long chargedMicrocredits, CancellationToken cancellationToken)
    {
        await using var command = connection.Command("UPDATE jobs SET charged_microcredits = $2 WHERE job_id = $1", jobId.Value, chargedMicrocredits);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>A node holds a current lease on the unit.</summary>
    public static void LeaseUnit(NpgsqlBatch batch, JobId jobId, int unitIndex) =>
        batch.Add(
            "UPDATE units SET status = 'leased', reason = NULL, attempt_count = attempt_count + 1 WHERE job_id = $1 AND unit_index = $2 AND status = 'pending'",
            jobId.Value, unitIndex);

    /// <summary>The unit's result was captured. The caller adds <see cref="End"/> when it was the last one.</summary>
    public static void CompleteUnit(NpgsqlBatch batch, Job job, int unitIndex, long meteredMilliseconds, JobEventBody body, DateTimeOffset now)
    {
        batch.Add("UPDATE units SET status = 'completed', reason = NULL WHERE job_id = $1 AND unit_index = $2", job.JobId.Value, unitIndex);
        JobEventLog.Append(
            batch, job.JobId, JobEventKind.UnitCompleted, body, now,
            ", units_completed = units_completed + 1, charged_microcredits = charged_microcredits + $5, metered_ms = metered_ms + $6",
            body.ChargedMicrocredits ?? 0, meteredMilliseconds);
    }

    /// <summary>The unit's attempt failed or was lost, or its next one is taken back: no node may have it until the job's saga has decided.</summary>
    /// <param name="lane">Null: the lane stays.</param>
    public static void SuspendUnit(NpgsqlBatch batch, JobId jobId, int unitIndex, string reason, UnitLane? lane = null)
    {
        batch.Add(
            """
            UPDATE units SET status = 'undecided', reason = $3, lane = coalesce($4, lane)
            WHERE job_id = $1 AND unit_index = $2 AND status IN ('pending', 'leased')
            """,
            jobId.Value, unitIndex, reason, LaneValue(lane));
        batch.Add("DELETE FROM pending_units WHERE job_id = $1 AND unit_index = $2", jobId.Value, unitIndex);
    }

    /// <summary>The unit waits for a node again; the reason says what became of its last attempt.</summary>
    /// <param name="retryAt">Null: at once. Else the unit is parked until then.</param>
    /// <param name="lane">Null: the lane stays.</param>
    public static void ReturnUnit(
        NpgsqlBatch batch, JobId jobId, int unitIndex, string reason, DateTimeOffset now, DateTimeOffset? retryAt = null, UnitLane? lane = null)
    {
        batch.Add(
            """
            UPDATE units SET status = 'pending', reason = $3, lane = coalesce($4, lane)
            WHERE job_id = $1 AND unit_index = $2 AND status IN ('leased', 'undecided')
            """,
            jobId.Value, unitIndex, reason, LaneValue(lane));
        batch.Add(
            """
            INSERT INTO pending_units (job_id, unit_index, state, ready_at, parked_for, parked_reason, retry_at, examined_at, lane)
            SELECT $1, $2, CASE WHEN $5 IS NULL THEN 'new' ELSE 'parked' END, $4, CASE WHEN $5 IS NULL THEN NULL ELSE 'refusal' END, $3, $5, $4, lane
            FROM units WHERE job_id = $1 AND unit_index = $2
            """,
            jobId.Value, unitIndex, reason, now, new TypedValue(retryAt?.ToUniversalTime(), NpgsqlDbType.TimestampTz));
    }

    /// <summary>The undecided unit can succeed nowhere any more. The caller fails the job with the same cause.</summary>
    public static void FailUnit(NpgsqlBatch batch, Job job, int unitIndex, string reason) =>
        batch.Add(
            "UPDATE units SET status = 'failed', reason = $3 WHERE job_id = $1 AND unit_index = $2 AND status = 'undecided'", job.JobId.Value, unitIndex, reason);

    private static TypedValue LaneValue(UnitLane? lane) => new(lane is { } known ? SqlNames.Of(known) : null, NpgsqlDbType.Text);
}
