using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// Writes down that the saga waits for an operator, and for what; unless it has done all it had to do. Parking what is parked changes nothing. The operator's
/// <c>SELECT scheduler.resume_saga(job)</c> is its undo.
/// </summary>
internal sealed partial class ParkStep(NpgsqlDataSource dataSource, TimeProvider time, ILogger<ParkStep> logger) : ISagaStep
{
    public SagaStepName Name => SagaStepName.Park;

    public async Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken)
    {
        await using var batch = dataSource.CreateBatch();
        batch.Add(
            """
            UPDATE sagas SET parked_step = split_part($2, ':', 1), parked_reason = $2, parked_at = coalesce(parked_at, $3) WHERE job_id = $1 AND done_at IS NULL
            RETURNING 1
            """,
            call.JobId.Value, call.Cause!, time.GetUtcNow());
        SagaSignals.ResumedHeard(batch, call.JobId);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return StepOutcome.AlreadyDone;
        }

        LogParked(logger, call.JobId, call.Cause!);
        return StepOutcome.Done;
    }

    public Task UndoAsync(StepCall call, CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Error, "The saga of job {JobId} is parked: {Reason}. Mend the cause, then SELECT scheduler.resume_saga('{JobId}')")]
    private static partial void LogParked(ILogger logger, JobId jobId, string reason);
}
