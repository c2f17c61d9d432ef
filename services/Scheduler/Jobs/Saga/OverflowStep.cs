using Npgsql;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// The unit waits for an overflow node, if its creator allowed that: by saying so, and by sealing the job to an overflow node's key.
/// Asked again here, because keys may be withdrawn between the failure and this. Undo takes the unit back.
/// </summary>
internal sealed class OverflowStep(UndecidedUnits units) : ISagaStep
{
    public SagaStepName Name => SagaStepName.Overflow;

    public Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken) =>
        units.ReturnAsync(call, UnitLane.Overflow, connection => IsAllowedAsync(connection, call, cancellationToken), cancellationToken);

    public Task UndoAsync(StepCall call, CancellationToken cancellationToken) => units.WithdrawAsync(call, call.Failure!.Lane, cancellationToken);

    private static async Task<bool> IsAllowedAsync(NpgsqlConnection connection, StepCall call, CancellationToken cancellationToken)
    {
        await using var command = connection.Command(
            """
            SELECT allow_overflow AND EXISTS (SELECT 1 FROM overflow_keys k WHERE k.recipient_key_id = ANY (j.recipients))
            FROM jobs j WHERE job_id = $1
            """,
            call.JobId.Value);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }
}
