using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Attempts;

/// <summary>
/// Where an attempt's status changes, apart from its birth in LeaseSlot and the end of its job in <see cref="JobTransitions"/>.
/// Each method adds to a batch of a transaction that holds the job's lock and has seen the attempt's status.
/// </summary>
internal static class AttemptTransitions
{
    /// <summary>The node took the lease. Starts the job if this is its first.</summary>
    public static void Acknowledge(NpgsqlBatch batch, Job job, Attempt attempt, DateTimeOffset now)
    {
        batch.Add("UPDATE attempts SET status = 'running', acknowledged_at = $2 WHERE attempt_id = $1 AND status = 'offered'", attempt.AttemptId.Value, now);
        if (job.Status == JobStatus.Submitted)
        {
            JobTransitions.Start(batch, job, now);
        }

        JobEventLog.Append(
            batch, job.JobId, JobEventKind.UnitLeased,
            Body(job, attempt) with { Reason = $"{attempt.NodeName} runs unit {attempt.UnitIndex}, attempt {attempt.Number}." }, now,
            ", last_leased_at = $3");
    }

    public static void Complete(NpgsqlBatch batch, Attempt attempt, long meteredMilliseconds, long charge, long nodeShare, DateTimeOffset now) =>
        batch.Add(
            """
            UPDATE attempts SET status = 'completed', metered_ms = $2, charge_microcredits = $3, node_share_microcredits = $4, progress = 1, ended_at = $5
            WHERE attempt_id = $1
            """,
            attempt.AttemptId.Value, meteredMilliseconds, charge, nodeShare, now);

    /// <summary>To the node's blame: the unit does not come back to it. While the node is still to be told, the slot stays reserved.</summary>
    public static void Fail(NpgsqlBatch batch, Job job, Attempt attempt, AttemptFailure failure, DateTimeOffset now)
    {
        batch.Add(
            """
            UPDATE attempts SET status = $2, metered_ms = $3, failure_class = $4, reason = $5,
                ended_at = CASE WHEN $2 = 'failed' THEN $6 END
            WHERE attempt_id = $1
            """,
            attempt.AttemptId.Value, SqlNames.Of(failure.Status), failure.MeteredMilliseconds, failure.FailureClass, failure.Reason, now);
        AppendFailure(batch, job, attempt, failure.FailureClass, failure.Reason, now);
    }

    /// <summary>Ends an attempt that surely does not run: refused, never delivered, or confirmed as stopped. The unit waits again.</summary>
    public static void EndWithoutBlame(NpgsqlBatch batch, Attempt attempt, AttemptStatus status, string reason, DateTimeOffset now, DateTimeOffset? retryAt)
    {
        batch.Add(
            "UPDATE attempts SET status = $2, reason = $3, ended_at = $4 WHERE attempt_id = $1",
            attempt.AttemptId.Value, SqlNames.Of(status), reason, now);
        JobTransitions.ReturnUnit(batch, attempt.JobId, attempt.UnitIndex, reason, now, retryAt);
    }

    /// <summary>The node fell silent: the token is taken and the unit is to be leased elsewhere; the slot stays reserved until the node is seen.</summary>
    public static void Lose(NpgsqlBatch batch, Job job, Attempt attempt, DateTimeOffset now)
    {
        const string failureClass = UnitFailure.NodeLost;
        var reason = $"{attempt.NodeName} fell silent; unit {attempt.UnitIndex} is leased elsewhere.";
        batch.Add(
            "UPDATE attempts SET status = 'lost', failure_class = $2, reason = $3 WHERE attempt_id = $1", attempt.AttemptId.Value, failureClass, reason);
        JobTransitions.SuspendUnit(batch, attempt.JobId, attempt.UnitIndex, reason);
        SagaSignals.UnitFailed(
            batch, attempt,
            new UnitFailure(
                attempt.UnitIndex, attempt.AttemptId, attempt.Number, failureClass, reason, FailedNodes: 0, FailuresPerUnit: 0, AnotherNodeCouldRun: true),
            now);
        AppendFailure(batch, job, attempt, failureClass, reason, now);
    }

    /// <summary>What was leased after attempt <paramref name="number"/> is taken back; its slot stays reserved until the node confirms.</summary>
    public static void Withdraw(NpgsqlBatch batch, JobId jobId, int unitIndex, int number, string reason) =>
        batch.Add(
            """
            UPDATE attempts SET status = 'revoking', reason = $4
            WHERE job_id = $1 AND unit_index = $2 AND number > $3 AND status IN ('offered', 'running')
            """,
            jobId.Value, unitIndex, number, reason);

    /// <summary>The node says that it does not run the attempt (any more): the slot is free.</summary>
    public static void ConfirmStopped(NpgsqlBatch batch, AttemptId attemptId, DateTimeOffset now) =>
        batch.Add(
            "UPDATE attempts SET status = 'revoked', ended_at = $2 WHERE attempt_id = $1 AND status IN ('revoking', 'lost')", attemptId.Value, now);

    public static JobEventBody Body(Job job, Attempt attempt) => new(
        UnitIndex: attempt.UnitIndex, UnitCount: job.UnitCount, UnitsCompleted: job.UnitsCompleted, UnitsFailed: job.UnitsFailed,
        NodeId: attempt.NodeId, NodeName: attempt.NodeName, AttemptId: attempt.AttemptId, AttemptNumber: attempt.Number);

    private static void AppendFailure(NpgsqlBatch batch, Job job, Attempt attempt, string failureClass, string reason, DateTimeOffset now) =>
        JobEventLog.Append(batch, job.JobId, JobEventKind.UnitFailed, Body(job, attempt) with { FailureClass = failureClass, Reason = reason }, now);
}
