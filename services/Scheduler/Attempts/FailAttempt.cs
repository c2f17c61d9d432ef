using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Placement;

namespace RenderTrust.Scheduler.Attempts;

/// <summary>How an attempt failed, to its node's blame.</summary>
/// <param name="Status">Failed when the node says so itself; Revoking when it is still to be told.</param>
internal sealed record AttemptFailure(AttemptStatus Status, long MeteredMilliseconds, string FailureClass, string Reason);

/// <summary>Ends an attempt to its node's blame and decides what becomes of the unit: another node, or the end of the job with this cause.</summary>
internal sealed class FailAttempt(Fleet fleet, IOptions<SchedulerOptions> options)
{
    /// <summary>Adds to the batch of a transaction that holds the job's lock.</summary>
    /// <returns>True when the job failed with it.</returns>
    public async Task<bool> AddAsync(NpgsqlBatch batch, Job job, Attempt attempt, AttemptFailure failure, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var needs = await ClaimUnits.ReadNeedsAsync(batch.Connection!, job.JobId, attempt.UnitIndex, options.Value, now, cancellationToken);
        var failedOn = needs!.FailedOn.Append(attempt.NodeId).ToHashSet();
        await fleet.EnsureLoadedAsync(cancellationToken);
        var another = fleet.Snapshot().Any(node => PlacementRules.CouldRun(needs with { FailedOn = failedOn }, node, options.Value.Development));
        AttemptTransitions.Fail(batch, job, attempt, failure, now);
        if (FailureRules.Decide(failedOn.Count, another, options.Value.FailuresPerUnit) == AfterFailure.RetryElsewhere)
        {
            JobTransitions.ReturnUnit(batch, job.JobId, attempt.UnitIndex, failure.Reason, now);
            return false;
        }

        JobTransitions.FailUnit(batch, job, attempt.UnitIndex, failure.Reason);
        JobTransitions.End(
            batch, job, JobStatus.Failed,
            failedOn.Count > 1 ? $"{failure.Reason}. It had failed on another node before." : $"{failure.Reason}. No other node can run it.", now);
        return true;
    }
}
