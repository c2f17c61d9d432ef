using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Supervision;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Ends a job from outside its results: by cancellation, deadline or an exhausted hold.</summary>
internal sealed partial class EndJob(
    NpgsqlDataSource dataSource, JobEventSignal events, Outbox outbox, SupervisorWake supervisor, TimeProvider time, ILogger<EndJob> logger)
{
    public Task<bool> FailAsync(JobId jobId, string reason, CancellationToken cancellationToken) => EndAsync(jobId, JobStatus.Failed, reason, cancellationToken);

    /// <returns>False when there is no such job or it had ended before.</returns>
    public async Task<bool> EndAsync(JobId jobId, JobStatus status, string reason, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Job.LockAsync(connection, jobId, cancellationToken) is not { HasEnded: false } job)
        {
            return false;
        }

        await using var batch = new NpgsqlBatch(connection, transaction);
        JobTransitions.End(batch, job, status, reason, time.GetUtcNow());
        JobEventLog.Wake(batch, jobId);
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
