using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// The ended job's money is final: its hold is closed, every charge is in the books, and the job's own sum is the ledger's. The transaction
/// that ended the job has done this already; here it is verified, and mended where it does not hold. All of it says what must be, so a repeat
/// changes nothing. There is nothing to undo: what was charged is only ever corrected by another transfer.
/// </summary>
internal sealed partial class SettleStep(NpgsqlDataSource dataSource, ILogger<SettleStep> logger) : ISagaStep
{
    public SagaStepName Name => SagaStepName.Settle;

    public async Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Job.LockAsync(connection, call.JobId, cancellationToken) is not { HasEnded: true } job)
        {
            throw new InvalidOperationException($"Job {call.JobId} is to be settled and has not ended. Its saga heard of an end that was not committed.");
        }

        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.Add("SELECT outcome FROM ledger.close_hold_v1($1, $2)", job.JobId.Value, job.Reason ?? "The job has ended.");
        batch.Add("SELECT captured, unposted FROM ledger.hold_settled_v1($1)", job.JobId.Value);
        string outcome;
        long captured;
        long unposted;
        await using (var reader = await batch.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            outcome = reader.GetString(0);
            await reader.NextResultAsync(cancellationToken);
            if (!await reader.ReadAsync(cancellationToken))
            {
                throw new InvalidOperationException($"Job {call.JobId} has no hold, although both are made in one transaction. Look into ledger.holds for it.");
            }

            (captured, unposted) = (reader.GetInt64(0), reader.GetInt64(1));
        }

        if (outcome == "closed")
        {
            LogClosed(logger, job.JobId);
        }

        if (captured != job.ChargedMicrocredits)
        {
            LogCorrected(logger, job.JobId, job.ChargedMicrocredits, captured);
            await JobTransitions.CorrectChargeAsync(connection, job.JobId, captured, cancellationToken);
        }

        Failpoint.Hit("saga.settle.beforeCommit");
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("saga.settle.afterCommit");
        return unposted == 0 ? StepOutcome.Done : StepOutcome.NotYet;
    }

    public Task UndoAsync(StepCall call, CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Error, "Job {JobId} had ended with an open hold; it is closed now")]
    private static partial void LogClosed(ILogger logger, JobId jobId);

    [LoggerMessage(LogLevel.Error, "Job {JobId} said that {Charged} micro-credits were charged, the ledger {Captured}; the ledger is right")]
    private static partial void LogCorrected(ILogger logger, JobId jobId, long charged, long captured);
}
