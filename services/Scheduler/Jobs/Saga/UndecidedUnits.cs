using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Overflow;
using RenderTrust.Scheduler.Placement;
using RenderTrust.Scheduler.Supervision;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// What RetryElsewhere and Overflow share: an undecided unit waits for a node again, or is taken back from wherever it went since.
/// The number of its last attempt tells whether it is still where the failure left it, so a call that comes late or twice changes nothing.
/// </summary>
internal sealed class UndecidedUnits(
    NpgsqlDataSource dataSource, PlacerWake placer, SupervisorWake supervisor, SagaWake sagas, OverflowWake overflow, Outbox outbox, TimeProvider time)
{
    public async Task<StepOutcome> ReturnAsync(
        StepCall call, UnitLane? lane, Func<NpgsqlConnection, Task<bool>>? mayReturn, CancellationToken cancellationToken)
    {
        var failure = call.Failure!;
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var job = await Job.LockAsync(connection, call.JobId, cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        StepOutcome outcome;
        if (job is not { HasEnded: false })
        {
            outcome = StepOutcome.JobEnded;
        }
        else if (await ReadAsync(connection, call, cancellationToken) is not { Status: "undecided" } unit || unit.Attempts != failure.AttemptNumber)
        {
            outcome = StepOutcome.AlreadyDone;
        }
        else if (mayReturn is not null && !await mayReturn(connection))
        {
            // Its signal stays: what follows a refusal is still to come.
            return StepOutcome.NotAllowed;
        }
        else
        {
            outcome = StepOutcome.Done;
            JobTransitions.ReturnUnit(batch, call.JobId, failure.UnitIndex, failure.Reason, time.GetUtcNow(), lane: lane);
            if (lane == UnitLane.Overflow)
            {
                OnUnitOverflowed.Tell(batch, call.JobId, failure.UnitIndex, failure.Reason, time.GetUtcNow());
            }
        }

        SagaSignals.Heard(batch, call.JobId, failure);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        Failpoint.Hit("saga.return.beforeCommit");
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("saga.return.afterCommit");
        placer.JobSubmitted();
        sagas.Wake();
        if (lane == UnitLane.Overflow)
        {
            overflow.Wake();
            outbox.Wake();
        }

        return outcome;
    }

    /// <summary>The unit is undecided again. A node that has got it meanwhile loses its token; its slot stays reserved until it confirms.</summary>
    public async Task WithdrawAsync(StepCall call, UnitLane lane, CancellationToken cancellationToken)
    {
        var failure = call.Failure!;
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Job.LockAsync(connection, call.JobId, cancellationToken) is not { HasEnded: false })
        {
            return;
        }

        await using var batch = new NpgsqlBatch(connection, transaction);
        AttemptTransitions.Withdraw(batch, call.JobId, failure.UnitIndex, failure.AttemptNumber, failure.Reason);
        JobTransitions.SuspendUnit(batch, call.JobId, failure.UnitIndex, failure.Reason, lane);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
        supervisor.Wake();
    }

    private static async Task<(string Status, int Attempts)?> ReadAsync(NpgsqlConnection connection, StepCall call, CancellationToken cancellationToken)
    {
        await using var command = connection.Command(
            "SELECT status, attempt_count FROM units WHERE job_id = $1 AND unit_index = $2", call.JobId.Value, call.Failure!.UnitIndex);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (reader.GetString(0), reader.GetInt32(1)) : null;
    }
}
