using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Placement;

namespace RenderTrust.Scheduler.Attempts;

/// <summary>How an attempt failed, to its node's blame.</summary>
/// <param name="Status">Failed when the node says so itself; Revoking when it is still to be told.</param>
internal sealed record AttemptFailure(AttemptStatus Status, long MeteredMilliseconds, string FailureClass, string Reason);

/// <summary>
/// Ends an attempt to its node's blame. What becomes of the unit is the job's saga's to say: it hears of the failure with all that is known now,
/// and until then no node may have the unit.
/// </summary>
internal sealed class FailAttempt(Fleet fleet, IOptions<SchedulerOptions> options)
{
    /// <summary>Adds to the batch of a transaction that holds the job's lock.</summary>
    public async Task AddAsync(NpgsqlBatch batch, Job job, Attempt attempt, AttemptFailure failure, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var needs = await ClaimUnits.ReadNeedsAsync(batch.Connection!, job.JobId, attempt.UnitIndex, options.Value, now, cancellationToken);
        var failedOn = needs!.FailedOn.Append(attempt.NodeId).ToHashSet();
        await fleet.EnsureLoadedAsync(cancellationToken);
        var another = fleet.Snapshot().Any(node => PlacementRules.CouldRun(needs with { FailedOn = failedOn }, node, options.Value.Development));
        AttemptTransitions.Fail(batch, job, attempt, failure, now);
        JobTransitions.SuspendUnit(batch, job.JobId, attempt.UnitIndex, failure.Reason);
        SagaSignals.UnitFailed(
            batch, attempt,
            new UnitFailure(
                attempt.UnitIndex, attempt.AttemptId, attempt.Number, failure.FailureClass, failure.Reason,
                failedOn.Count, options.Value.FailuresPerUnit, another),
            now);
    }
}
