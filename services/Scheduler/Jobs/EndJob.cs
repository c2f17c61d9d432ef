using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Supervision;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Ends a job from outside its results: by cancellation, deadline, an exhausted hold, or because its saga says so.</summary>
internal sealed partial class EndJob(
    NpgsqlDataSource dataSource, JobEventSignal events, Outbox outbox, SupervisorWake supervisor, TimeProvider time, ILogger<EndJob> logger)
{
    public Task<bool> FailAsync(JobId jobId, string reason, CancellationToken cancellationToken) =>
        EndAsync(jobId, JobStatus.Failed, reason, failedUnit: null, cancellationToken);

    public Task<bool> FailAsync(JobId jobId, string reason, int? failedUnit, CancellationToken cancellationToken) =>
        EndAsync(jobId, JobStatus.Failed, reason, failedUnit, cancellationToken);

    public Task<bool> CancelAsync(JobId jobId, string reason, CancellationToken cancellationToken) =>
        EndAsync(jobId, JobStatus.Canceled, reason, failedUnit: null, cancellationToken);

    /// <param name="failedUnit">The undecided unit with which the job fails.</param>
    /// <returns>False when there is no such job or it had ended before.</returns>
    private async Task<bool> EndAsync(JobId jobId, JobStatus status, string reason, int? failedUnit, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Job.LockAsync(connection, jobId, cancellationToken) is not { HasEnded: false } job)
        {
            return false;
        }

        using var span = JobActivities.Begin("end job", job.Trace);
        span?.SetTag(TelemetryNames.Outcome, status.ToString());
        await using var batch = new NpgsqlBatch(connection, transaction);
        if (failedUnit is { } unitIndex)
        {
            JobTransitions.FailUnit(batch, job, unitIndex, reason);
        }

        JobTransitions.End(batch, job, status, reason, time.GetUtcNow());
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("scheduler.end.afterCommit");
        Announce();
        LogEnded(logger, jobId, status, reason);
        return true;
    }

    /// <summary>After a commit that ended a job: tails, broker and the revocations of what still runs.</summary>
    public void Announce()
    {
        events.Raise();
        outbox.Wake();
        supervisor.Wake();
    }

    [LoggerMessage(LogLevel.Information, "Job {JobId} ended as {Status}: {Reason}")]
    private static partial void LogEnded(ILogger logger, JobId jobId, JobStatus status, string reason);
}
