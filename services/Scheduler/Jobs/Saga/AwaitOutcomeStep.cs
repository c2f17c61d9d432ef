using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// Before a saga waits: is there still something to wait for, and does the job's hold last as long? The hold's expiry only moves forward,
/// so a repeat changes nothing; there is nothing to undo, since the close of the hold ends its renewal too.
/// </summary>
internal sealed class AwaitOutcomeStep(NpgsqlDataSource dataSource, IOptions<SchedulerOptions> options) : ISagaStep
{
    public SagaStepName Name => SagaStepName.AwaitOutcome;

    public async Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Job.LockAsync(connection, call.JobId, cancellationToken) is not { HasEnded: false } job)
        {
            return StepOutcome.JobEnded;
        }

        await using var extend = connection.Command(
            "SELECT ledger.extend_hold_v1($1, $2)", job.JobId.Value, job.DeadlineAt.AddSeconds(options.Value.HoldGraceSeconds));
        await extend.ExecuteScalarAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("saga.await.afterCommit");
        return StepOutcome.Done;
    }

    public Task UndoAsync(StepCall call, CancellationToken cancellationToken) => Task.CompletedTask;
}
