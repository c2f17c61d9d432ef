using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Hubs;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Timings;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Placement;

/// <summary>
/// Tells the node of its lease, after the lease is in the table. An answer decides; no answer decides nothing: the reservation stays,
/// supervision verifies it, and the unit is never started twice on a guess.
/// </summary>
internal sealed partial class DispatchLease(
    NpgsqlDataSource dataSource, HubClient hubs, Fleet fleet, PlacerWake placer, JobEventSignal events, TimingLog timings,
    TimeProvider time, ILogger<DispatchLease> logger)
{
    // A node whose session has just opened may be leased to before its hub knows the epoch: the offer is repeated for a moment.
    private static readonly TimeSpan[] SessionPauses = [TimeSpan.FromMilliseconds(30), TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(400)];

    public async Task OfferAsync(string hubAppId, LeaseOffer offer, DateTimeOffset readyAt, CancellationToken cancellationToken)
    {
        var (outcome, reason) = await AskAsync(hubAppId, offer, cancellationToken);
        Failpoint.Hit("scheduler.offer.afterAnswer");
        var answeredAt = time.GetUtcNow();
        if (outcome == LeaseOfferOutcome.Acknowledged)
        {
            LogAcknowledged(logger, offer.JobId, offer.UnitIndex, offer.AttemptId, offer.NodeId);
        }
        else
        {
            LogNotTaken(logger, offer.JobId, offer.UnitIndex, offer.AttemptId, offer.NodeId, outcome, reason);
        }

        switch (outcome)
        {
            case LeaseOfferOutcome.Acknowledged:
                timings.Add(offer.TaskId, "dispatch", offer.UnitIndex, (answeredAt - readyAt).TotalMilliseconds);
                await AcknowledgeAsync(offer, answeredAt, cancellationToken);
                break;
            case LeaseOfferOutcome.Refused:
                await ReturnAsync(offer, AttemptStatus.Refused, reason ?? "no reason given", pause: null, cancellationToken);
                break;
            case LeaseOfferOutcome.NoSession or LeaseOfferOutcome.StaleEpoch:
                fleet.Doubt(offer.NodeId, offer.Epoch);
                await ReturnAsync(offer, AttemptStatus.Undelivered, reason ?? "The node's session was gone.", TimeSpan.FromSeconds(1), cancellationToken);
                break;
            case LeaseOfferOutcome.NotAcknowledged:
                break;
        }
    }

    private async Task<(LeaseOfferOutcome Outcome, string? Reason)> AskAsync(string hubAppId, LeaseOffer offer, CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                var response = await hubs.OfferAsync(hubAppId, offer, cancellationToken);
                if (response.Outcome != LeaseOfferOutcome.NoSession || attempt >= SessionPauses.Length)
                {
                    return (response.Outcome, response.Reason);
                }
            }
            catch (AppUnavailableException exception)
            {
                if (attempt >= SessionPauses.Length)
                {
                    return (LeaseOfferOutcome.NoSession, exception.Message);
                }
            }
            catch (Exception exception) when (exception is UnknownOutcomeException or AppCallException)
            {
                return (LeaseOfferOutcome.NotAcknowledged, exception.Message);
            }

            await Task.Delay(SessionPauses[attempt], time, cancellationToken);
        }
    }

    private async Task AcknowledgeAsync(LeaseOffer offer, DateTimeOffset at, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Attempt.LockAsync(connection, offer.AttemptId, cancellationToken) is not { Attempt.Status: AttemptStatus.Offered } found)
        {
            // A quick result, or the job's end, came first and has said all that this would say.
            return;
        }

        await using var batch = new NpgsqlBatch(connection, transaction);
        AttemptTransitions.Acknowledge(batch, found.Job, found.Attempt, at);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        Failpoint.Hit("scheduler.acknowledge.beforeCommit");
        await transaction.CommitAsync(CancellationToken.None);
        events.Raise();
    }

    private async Task ReturnAsync(LeaseOffer offer, AttemptStatus status, string reason, TimeSpan? pause, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Attempt.LockAsync(connection, offer.AttemptId, cancellationToken) is not { } found)
        {
            return;
        }

        await using var batch = new NpgsqlBatch(connection, transaction);
        if (found.Attempt.TokenIsCurrent)
        {
            AttemptTransitions.EndWithoutBlame(batch, found.Attempt, status, reason, now, now + pause);
        }
        else if (found.Attempt.Status == AttemptStatus.Revoking)
        {
            // The job ended meanwhile, and the node never ran it: the slot is free.
            AttemptTransitions.ConfirmStopped(batch, found.Attempt.AttemptId, now);
        }
        else
        {
            return;
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("scheduler.return.afterCommit");
        fleet.Release(offer.NodeId, offer.Slot);
        placer.CapacityChanged();
    }

    [LoggerMessage(LogLevel.Information, "Unit {JobId}/{UnitIndex} attempt {AttemptId} was acknowledged by node {NodeId}")]
    private static partial void LogAcknowledged(ILogger logger, JobId jobId, int unitIndex, AttemptId attemptId, NodeId nodeId);

    [LoggerMessage(LogLevel.Warning, "Unit {JobId}/{UnitIndex} attempt {AttemptId} was not taken by node {NodeId}: {Outcome}. {Reason}")]
    private static partial void LogNotTaken(ILogger logger, JobId jobId, int unitIndex, AttemptId attemptId, NodeId nodeId, LeaseOfferOutcome outcome, string? reason);
}
