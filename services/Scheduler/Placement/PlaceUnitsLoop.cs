using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Placement;

/// <summary>
/// Gives waiting units to nodes. Woken in-process at a submit's commit and when room comes; the poll is the floor for what other replicas did.
/// Choosing goes one unit after the other, so that each sees the slots that the one before set aside; leasing and offering go side by side,
/// so that the first units of a job start together on all free slots.
/// </summary>
internal sealed partial class PlaceUnitsLoop(
    ClaimUnits claims, Fleet fleet, NodeOwners owners, DispatchLease dispatch, EndJob endJob, PlacerWake wake, JobActivities activities, TimeProvider time,
    IOptions<SchedulerOptions> options, IOptions<PlacementOptions> placement, ILogger<PlaceUnitsLoop> logger) : BackgroundService
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);
    private const int MostJobsKept = 2000;
    private const int FewestExamined = 32;

    // Bounds a pass over rows that no free node may take again; the rest of the queue has its turn with the next poll.
    private const int MostRounds = 50;
    private readonly ConcurrentDictionary<Task, bool> underWay = new();
    private readonly Dictionary<JobId, UnitNeeds> knownNeeds = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var refresh = true;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (refresh)
                {
                    await fleet.RefreshAsync(stoppingToken);
                }

                await PassAsync(wake.TakeCapacity() || refresh, stoppingToken);
                refresh = await PollCameFirstAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception)
            {
                // The database is away: rows and claims stay as they are, and the next poll goes on.
                LogPassFailed(logger, exception);
                refresh = true;
                await Task.Delay(options.Value.Poll, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await Task.WhenAll(underWay.Keys);
    }

    private async Task<bool> PollCameFirstAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // Replicas that start together would poll together for hours; ±10 % spreads them.
        var delay = Task.Delay(options.Value.Poll * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, limit.Token);
        var signal = wake.Signals.ReadAsync(limit.Token).AsTask();
        await Task.WhenAny(delay, signal);
        await limit.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        return !signal.IsCompletedSuccessfully;
    }

    private async Task PassAsync(bool parkedToo, CancellationToken cancellationToken)
    {
        if (parkedToo)
        {
            await PlaceParkedAsync(cancellationToken);
        }

        // Ends by itself: what a round claims it leases or parks. More than fit are claimed, so that those who must wait learn it soon.
        while (true)
        {
            var claimId = Guid.CreateVersion7();
            var wanted = Math.Clamp(fleet.FreeSlots(), FewestExamined, ClaimUnits.MostUnits);
            var claimed = await claims.ClaimNewAsync(claimId, wanted, cancellationToken);
            if (claimed.Count == 0)
            {
                return;
            }

            Failpoint.Hit("scheduler.claim.afterCommit");
            await PlaceAsync(claimed, claimId, cancellationToken);
            if (claimed.Count < wanted)
            {
                // That was all; what has come since has woken the next pass.
                return;
            }
        }
    }

    /// <summary>Fills the room there is. Each row is examined at most once in a pass; what still has to wait goes to the end of the queue.</summary>
    private async Task PlaceParkedAsync(CancellationToken cancellationToken)
    {
        var since = time.GetUtcNow();
        for (var round = 0; round < MostRounds; round++)
        {
            var withRoom = fleet.Snapshot().Where(node => node is { Live: true, FreeSlots: > 0 } && PlacementRules.MayRun(node, options.Value.Development)).ToList();
            if (withRoom.Count == 0)
            {
                return;
            }

            var claimId = Guid.CreateVersion7();
            var claimed = await claims.ClaimParkedAsync(claimId, withRoom.Sum(node => node.FreeSlots), withRoom, since, cancellationToken);
            if (claimed.Count == 0)
            {
                return;
            }

            await PlaceAsync(claimed, claimId, cancellationToken);
        }
    }

    private async Task PlaceAsync(List<ClaimedUnit> claimed, Guid claimId, CancellationToken cancellationToken)
    {
        foreach (var units in claimed.GroupBy(unit => unit.JobId))
        {
            await PlaceJobAsync([.. units.OrderBy(unit => unit.UnitIndex)], claimId, cancellationToken);
        }
    }

    /// <summary>Units of one job, one after the other. The first one without a history that has to wait takes the others like it with it.</summary>
    private async Task PlaceJobAsync(List<ClaimedUnit> units, Guid claimId, CancellationToken cancellationToken)
    {
        for (var index = 0; index < units.Count; index++)
        {
            var unit = units[index];
            if (await NeedsOfAsync(unit, cancellationToken) is not { } needs)
            {
                continue;
            }

            var version = fleet.CapacityVersion;
            var choice = PlacementRules.Choose(needs, fleet.Snapshot(), placement.Value, options.Value.Development);
            if (choice.Node is { } node && fleet.TryReserve(node.NodeId, needs.MemoryBytes))
            {
                BeginLease(
                    new LeaseRequest(node.NodeId, node.Epoch, unit.JobId, unit.UnitIndex, claimId, node.RecipientKeyId, unit.ReadyAt, choice.Decision),
                    needs, cancellationToken);
                continue;
            }

            var alike = unit.AttemptCount == 0 ? units.Skip(index + 1).Where(other => other.AttemptCount == 0 && other.Lane == unit.Lane).ToList() : [];
            DateTimeOffset? retryAt = choice.WaitingFor == WaitingFor.Refusal ? time.GetUtcNow() + options.Value.Poll : null;
            await claims.ParkAsync(
                unit.JobId, unit.Lane, [unit.UnitIndex, .. alike.Select(other => other.UnitIndex)], claimId, choice.WaitingFor, choice.Decision.Explanation,
                wholeJob: unit.AttemptCount == 0, retryAt, cancellationToken);
            units.RemoveAll(alike.Contains);
            LogParked(logger, unit.JobId, unit.UnitIndex, choice.WaitingFor, choice.Decision.Explanation);
            if (fleet.CapacityVersion != version)
            {
                // Room came between the look and the parking; its signal may have been taken already.
                wake.CapacityChanged();
            }
        }
    }

    private void BeginLease(LeaseRequest request, UnitNeeds needs, CancellationToken cancellationToken)
    {
        var task = Task.Run(() => LeaseAsync(request, needs, cancellationToken), CancellationToken.None);
        underWay[task] = true;
        _ = task.ContinueWith(done => underWay.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task<UnitNeeds?> NeedsOfAsync(ClaimedUnit unit, CancellationToken cancellationToken)
    {
        if (unit.AttemptCount == 0 && knownNeeds.TryGetValue(unit.JobId, out var known))
        {
            return known with { Lane = unit.Lane };
        }

        var needs = await claims.ReadNeedsAsync(unit.JobId, unit.UnitIndex, options.Value, cancellationToken);
        if (needs is not null && unit.AttemptCount == 0)
        {
            if (knownNeeds.Count >= MostJobsKept)
            {
                knownNeeds.Clear();
            }

            knownNeeds[unit.JobId] = needs;
        }

        return needs is null ? null : needs with { Lane = unit.Lane };
    }

    private async Task LeaseAsync(LeaseRequest request, UnitNeeds needs, CancellationToken cancellationToken)
    {
        // From when the unit was ready: waiting for its turn and for room is part of it.
        using var span = activities.BeginUnit("dispatch unit", needs.Trace, request.UnitIndex, request.ReadyAt);
        int? slot = null;
        try
        {
            LeaseResponse lease;
            try
            {
                lease = await owners.LeaseAsync(request, cancellationToken);
                slot = lease.Offer?.Slot;
            }
            finally
            {
                fleet.Settle(request.NodeId, slot, needs.MemoryBytes);
            }

            span?.SetTag(TelemetryNames.Outcome, lease.Outcome.ToString()).SetTag(TelemetryNames.AttemptNumber, lease.Offer?.AttemptNumber);
            if (lease is { Outcome: LeaseOutcome.Leased, Offer: { } offer, HubAppId: { } hub })
            {
                await dispatch.OfferAsync(hub, offer, request.ReadyAt, cancellationToken);
                return;
            }

            LogNotLeased(logger, request.JobId, request.UnitIndex, request.NodeId, lease.Outcome, lease.Explanation);
            await AfterRefusalAsync(request, lease, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Shutting down: the claim runs out, or supervision verifies the offer.
        }
        catch (Exception exception)
        {
            // A lease that was made is verified by supervision; else the unit is placed again.
            span?.SetStatus(ActivityStatusCode.Error);
            LogLeaseFailed(logger, exception, request.JobId, request.UnitIndex, request.NodeId);
            await UnclaimLaterAsync(request, cancellationToken);
        }
    }

    private async Task UnclaimLaterAsync(LeaseRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(options.Value.Poll, time, cancellationToken);
            await claims.UnclaimAsync(request.JobId, request.UnitIndex, request.ClaimId, cancellationToken);
            wake.JobSubmitted();
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException)
        {
            // Then the claim runs out by itself.
            LogClaimLeft(logger, exception, request.JobId, request.UnitIndex);
        }
    }

    private async Task AfterRefusalAsync(LeaseRequest request, LeaseResponse lease, CancellationToken cancellationToken)
    {
        switch (lease.Outcome)
        {
            case LeaseOutcome.HoldExhausted:
                await endJob.FailAsync(request.JobId, $"The job's hold does not cover another unit. {lease.Explanation}", cancellationToken);
                break;
            case LeaseOutcome.StaleSession or LeaseOutcome.SlotTaken or LeaseOutcome.NoFreeSlot:
                // The picture was stale: look again, then let the unit be placed anew.
                await Task.Delay(RetryPause, time, cancellationToken);
                await fleet.RefreshAsync(cancellationToken);
                await claims.UnclaimAsync(request.JobId, request.UnitIndex, request.ClaimId, cancellationToken);
                wake.JobSubmitted();
                break;
        }
    }

    [LoggerMessage(LogLevel.Error, "A placement pass failed; the next one goes on")]
    private static partial void LogPassFailed(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Debug, "Unit {JobId}/{UnitIndex} waits for {WaitingFor}: {Explanation}")]
    private static partial void LogParked(ILogger logger, JobId jobId, int unitIndex, WaitingFor waitingFor, string explanation);

    [LoggerMessage(LogLevel.Information, "Unit {JobId}/{UnitIndex} was not leased to node {NodeId}: {Outcome}. {Explanation}")]
    private static partial void LogNotLeased(ILogger logger, JobId jobId, int unitIndex, NodeId nodeId, LeaseOutcome outcome, string? explanation);

    [LoggerMessage(LogLevel.Error, "Leasing or offering unit {JobId}/{UnitIndex} to node {NodeId} failed")]
    private static partial void LogLeaseFailed(ILogger logger, Exception exception, JobId jobId, int unitIndex, NodeId nodeId);

    [LoggerMessage(LogLevel.Debug, "The claim on unit {JobId}/{UnitIndex} could not be given back and runs out")]
    private static partial void LogClaimLeft(ILogger logger, Exception exception, JobId jobId, int unitIndex);
}
