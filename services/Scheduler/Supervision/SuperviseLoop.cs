using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Hubs;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Placement;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Supervision;

/// <summary>
/// Finds what nobody reports: deadlines, silent nodes, leases past their time, offers without an answer, attempts that a restarted agent forgot,
/// and revocations that wait for their confirmation. Every step is safe to repeat and to run on several replicas: each decides again under the job's lock.
/// </summary>
internal sealed partial class SuperviseLoop(
    NpgsqlDataSource dataSource, NodeOwners owners, HubClient hubs, Fleet fleet, FailAttempt failures, EndJob endJob, PlacerWake placer, SupervisorWake wake, SagaWake sagas,
    JobEventSignal events, Outbox outbox,
    TimeProvider time, IOptions<SchedulerOptions> options, ILogger<SuperviseLoop> logger) : BackgroundService
{
    // Bounds one round; the next one takes the rest.
    private const int MostPerRound = 200;

    // Beside the rounds: a node that does not confirm holds up its own attempt only.
    private readonly ConcurrentDictionary<AttemptId, Task> revocations = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await RoundAsync(stoppingToken);
                await WaitAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception)
            {
                // A neighbour is away: all that was due stays due.
                LogRoundFailed(logger, exception);
                await Task.Delay(options.Value.Poll, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await Task.WhenAll(revocations.Values);
    }

    internal async Task RoundAsync(CancellationToken cancellationToken)
    {
        await FailOverdueJobsAsync(cancellationToken);
        await LoseSilentNodesAsync(cancellationToken);
        await TakeExpiredLeasesAsync(cancellationToken);
        await ReturnForgottenAttemptsAsync(cancellationToken);
        await RevokeAsync(cancellationToken);
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(options.Value.Poll * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, limit.Token);
        await Task.WhenAny(delay, wake.Signals.ReadAsync(limit.Token).AsTask());
        await limit.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task FailOverdueJobsAsync(CancellationToken cancellationToken)
    {
        var overdue = await IdsAsync(
            "SELECT job_id FROM jobs WHERE status IN ('submitted', 'running') AND deadline_at <= $1 ORDER BY deadline_at LIMIT $2",
            cancellationToken, time.GetUtcNow(), MostPerRound);
        foreach (var jobId in overdue)
        {
            await endJob.FailAsync(new JobId(jobId), "The deadline passed before all units completed. Raise deadlineSeconds, or check why its units waited.", cancellationToken);
        }
    }

    private async Task LoseSilentNodesAsync(CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow().AddSeconds(-options.Value.NodeLostAfterSeconds);

        // A node that is marked but still has current attempts: the owner that marked it died in between.
        var silent = await IdsAsync(
            """
            SELECT node_id FROM nodes n WHERE seen_at < $1 AND (status = 'online'
                OR EXISTS (SELECT 1 FROM attempts a WHERE a.node_id = n.node_id AND a.status IN ('offered', 'running')))
            LIMIT $2
            """,
            cancellationToken, before, MostPerRound);
        foreach (var nodeId in silent)
        {
            await owners.MarkLostAsync(new MarkNodeLostRequest(new NodeId(nodeId), before), cancellationToken);
        }
    }

    private async Task TakeExpiredLeasesAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var expired = await IdsAsync(
            "SELECT attempt_id FROM attempts WHERE status IN ('offered', 'running') AND lease_expires_at <= $1 ORDER BY lease_expires_at LIMIT $2",
            cancellationToken, now, MostPerRound);
        foreach (var id in expired)
        {
            await ChangeAsync(
                new AttemptId(id),
                (batch, job, attempt) => failures.AddAsync(
                    batch, job, attempt,
                    new AttemptFailure(
                        AttemptStatus.Revoking, 0, "timeout",
                        $"Unit {attempt.UnitIndex} was not reported by {attempt.NodeName} within {job.MaxUnitDeviceSeconds} s and {options.Value.LeaseGraceSeconds} s of grace"),
                    now, cancellationToken),
                cancellationToken);
        }
    }

    /// <summary>
    /// An offer without an answer is revoked, and so verified: the confirmation says that the node does not run it. An attempt that a restarted agent
    /// did not name, and whose result did not come either, is known not to run.
    /// </summary>
    private async Task ReturnForgottenAttemptsAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var missing = await IdsAsync(
            "SELECT attempt_id FROM attempts WHERE status IN ('offered', 'running') AND missing_since <= $1 LIMIT $2",
            cancellationToken, now.AddSeconds(-options.Value.MissingAttemptGraceSeconds), MostPerRound);
        foreach (var id in missing)
        {
            await ChangeAsync(
                new AttemptId(id),
                (batch, _, attempt) =>
                {
                    AttemptTransitions.EndWithoutBlame(
                        batch, attempt, AttemptStatus.Revoked, $"{attempt.NodeName} reconnected without unit {attempt.UnitIndex}.", now, retryAt: null);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }

        var unanswered = await RowsAsync(
            """
            SELECT a.attempt_id, a.node_id, n.epoch, n.hub_app_id, a.fencing_token
            FROM attempts a JOIN nodes n USING (node_id)
            WHERE a.status = 'offered' AND a.acknowledged_at IS NULL AND a.leased_at <= $1 AND n.status = 'online' AND n.hub_app_id IS NOT NULL
                AND (a.revocation_sent_at IS NULL OR a.revocation_sent_at <= $2)
            ORDER BY a.revocation_sent_at NULLS FIRST LIMIT $3
            """,
            cancellationToken, now.AddSeconds(-options.Value.UnacknowledgedSeconds), now.AddSeconds(-options.Value.RevocationRetrySeconds), MostPerRound);
        Begin(unanswered, row => VerifyAsync(row, now, cancellationToken), cancellationToken);
    }

    private async Task VerifyAsync(Revocable row, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (!await SendAsync(row, "The offer was not acknowledged.", cancellationToken))
        {
            return;
        }

        await ChangeAsync(
            row.AttemptId,
            (batch, _, attempt) =>
            {
                AttemptTransitions.EndWithoutBlame(
                    batch, attempt, AttemptStatus.Revoked, $"{attempt.NodeName} did not acknowledge the offer and confirmed that it does not run it.", now, retryAt: null);
                return Task.CompletedTask;
            },
            cancellationToken);
    }

    private async Task RevokeAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var due = await RowsAsync(
            """
            SELECT a.attempt_id, a.node_id, n.epoch, n.hub_app_id, a.fencing_token
            FROM attempts a JOIN nodes n USING (node_id)
            WHERE a.status = 'revoking' AND n.status = 'online' AND n.hub_app_id IS NOT NULL
                AND (a.revocation_sent_at IS NULL OR a.revocation_sent_at <= $1)
            ORDER BY a.revocation_sent_at NULLS FIRST LIMIT $2
            """,
            cancellationToken, now.AddSeconds(-options.Value.RevocationRetrySeconds), MostPerRound);
        Begin(due, row => ConfirmAsync(row, cancellationToken), cancellationToken);
    }

    /// <summary>Starts what is not under way yet; what does not fit stays due.</summary>
    private void Begin(List<Revocable> rows, Func<Revocable, Task> revoke, CancellationToken cancellationToken)
    {
        foreach (var row in rows)
        {
            if (revocations.Count >= MostPerRound)
            {
                return;
            }

            if (!revocations.ContainsKey(row.AttemptId))
            {
                // Only rounds start them, one round at a time; the task takes itself out again, so it must not start before it is in.
                var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                revocations[row.AttemptId] = RunAsync(start.Task, row, revoke, cancellationToken);
                start.SetResult();
            }
        }
    }

    private async Task RunAsync(Task start, Revocable row, Func<Revocable, Task> revoke, CancellationToken cancellationToken)
    {
        await start;
        try
        {
            await revoke(row);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Shutting down: due again at the next start.
        }
        catch (Exception exception)
        {
            LogRevocationFailed(logger, exception, row.AttemptId, row.NodeId);
        }
        finally
        {
            revocations.TryRemove(row.AttemptId, out _);
        }
    }

    private async Task ConfirmAsync(Revocable row, CancellationToken cancellationToken)
    {
        if (!await SendAsync(row, "The lease was taken back.", cancellationToken))
        {
            return;
        }

        Failpoint.Hit("scheduler.revoke.afterConfirm");
        await using var command = dataSource.Command(
            "UPDATE attempts SET status = 'revoked', ended_at = $2 WHERE attempt_id = $1 AND status IN ('revoking', 'lost') RETURNING slot",
            row.AttemptId.Value, time.GetUtcNow());
        if (await command.ExecuteScalarAsync(cancellationToken) is int slot)
        {
            fleet.Release(row.NodeId, slot);
            placer.CapacityChanged();
        }
    }

    /// <returns>True when the node confirmed that the attempt does not run any more.</returns>
    private async Task<bool> SendAsync(Revocable row, string reason, CancellationToken cancellationToken)
    {
        await using (var mark = dataSource.Command("UPDATE attempts SET revocation_sent_at = $2 WHERE attempt_id = $1", row.AttemptId.Value, time.GetUtcNow()))
        {
            await mark.ExecuteNonQueryAsync(cancellationToken);
        }

        try
        {
            var answer = await hubs.RevokeAsync(row.HubAppId, new LeaseRevocation(row.NodeId, row.Epoch, row.AttemptId, row.FencingToken, reason), cancellationToken);
            LogRevoked(logger, row.AttemptId, row.NodeId, answer.Delivered);
            return answer.Delivered;
        }
        catch (Exception exception) when (exception is AppUnavailableException or UnknownOutcomeException or AppCallException)
        {
            // Sent again later; until then the slot stays reserved.
            LogRevocationFailed(logger, exception, row.AttemptId, row.NodeId);
            return false;
        }
    }

    /// <summary>Applies a change to an attempt whose token is still current, under its job's lock.</summary>
    private async Task ChangeAsync(AttemptId attemptId, Func<NpgsqlBatch, Job, Attempt, Task> change, CancellationToken cancellationToken)
    {
        Attempt attempt;
        await using (var connection = await dataSource.OpenConnectionAsync(cancellationToken))
        await using (var transaction = await connection.BeginTransactionAsync(cancellationToken))
        {
            if (await Attempt.LockAsync(connection, attemptId, cancellationToken) is not { Attempt.TokenIsCurrent: true } found)
            {
                return;
            }

            attempt = found.Attempt;
            await using var batch = new NpgsqlBatch(connection, transaction);
            await change(batch, found.Job, attempt);
            await batch.ExecuteNonQueryAsync(cancellationToken);
            Failpoint.Hit("scheduler.take.beforeCommit");
            await transaction.CommitAsync(CancellationToken.None);
            Failpoint.Hit("scheduler.take.afterCommit");
        }

        LogTaken(logger, attempt.JobId, attempt.UnitIndex, attemptId, attempt.NodeId);
        await fleet.RefreshAsync(cancellationToken);
        events.Raise();
        outbox.Wake();
        sagas.Wake();
        placer.CapacityChanged();
    }

    private async Task<List<Guid>> IdsAsync(string sql, CancellationToken cancellationToken, params object[] values)
    {
        await using var command = dataSource.Command(sql, values);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var ids = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Add(reader.GetGuid(0));
        }

        return ids;
    }

    private async Task<List<Revocable>> RowsAsync(string sql, CancellationToken cancellationToken, params object[] values)
    {
        await using var command = dataSource.Command(sql, values);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<Revocable>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new Revocable(new(reader.GetGuid(0)), new(reader.GetGuid(1)), reader.GetInt64(2), reader.GetString(3), reader.GetInt64(4)));
        }

        return rows;
    }

    private sealed record Revocable(AttemptId AttemptId, NodeId NodeId, long Epoch, string HubAppId, long FencingToken);

    [LoggerMessage(LogLevel.Error, "A round of supervision failed; the next one goes on")]
    private static partial void LogRoundFailed(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Information, "Unit {JobId}/{UnitIndex} was taken from attempt {AttemptId} on node {NodeId}")]
    private static partial void LogTaken(ILogger logger, JobId jobId, int unitIndex, AttemptId attemptId, NodeId nodeId);

    [LoggerMessage(LogLevel.Information, "Revocation of attempt {AttemptId} was sent to node {NodeId}; confirmed: {Delivered}")]
    private static partial void LogRevoked(ILogger logger, AttemptId attemptId, NodeId nodeId, bool delivered);

    [LoggerMessage(LogLevel.Warning, "Revocation of attempt {AttemptId} could not be sent to node {NodeId}; it is sent again")]
    private static partial void LogRevocationFailed(ILogger logger, Exception exception, AttemptId attemptId, NodeId nodeId);
}
