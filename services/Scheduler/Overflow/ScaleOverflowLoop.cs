using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>
/// Starts overflow agents while units wait in their lane. Woken by the fact that one went there; the poll of the lane is the floor. One replica at a time
/// does it, the one that has the turn. Nothing here stops agents: they end by themselves. While none can be started the waiting units say why, and their
/// job's deadline applies.
/// </summary>
internal sealed partial class ScaleOverflowLoop(
    NpgsqlDataSource dataSource, OverflowTurn turn, PoolDirectory pool, IOverflowCapacity capacity, OverflowWake wake, TimeProvider time,
    IOptions<SchedulerOptions> scheduler, IOptions<OverflowOptions> options, ILogger<ScaleOverflowLoop> logger) : BackgroundService
{
    private IReadOnlyList<string> leftover = [];
    private OverflowPoolKey? published;
    private int lastRunning;
    private long looks;

    /// <summary>Times that it has looked at the lane and done what followed.</summary>
    internal long Looks => Interlocked.Read(ref looks);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!options.Value.Enabled)
        {
            // Read before anything else runs: only what an earlier life published is withdrawn.
            leftover = await pool.KeysAsync(cancellationToken);
        }

        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failures = 0;
        while (options.Value.Enabled || leftover.Count > 0)
        {
            try
            {
                if (!options.Value.Enabled)
                {
                    await WithdrawAsync(stoppingToken);
                    return;
                }

                if (await turn.HasAsync(stoppingToken))
                {
                    await RoundAsync(stoppingToken);
                }

                failures = 0;
                await WaitAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception)
            {
                // Identity starts beside us, or the database is away: the lane stays as it is, and the next look goes on.
                failures++;
                LogRoundFailed(logger, exception, failures);
                await turn.EndAsync();

                // Whoever has the turn next may publish another key; what counts is the last one's.
                published = null;
                await Task.Delay(scheduler.Value.Poll * Math.Min(failures, 15), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await turn.EndAsync();
    }

    private async Task WithdrawAsync(CancellationToken cancellationToken)
    {
        foreach (var keyId in leftover)
        {
            await pool.WithdrawAsync(keyId, cancellationToken);
        }
    }

    private async Task RoundAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (published is null)
            {
                var key = await capacity.OpenPoolAsync(cancellationToken);
                await pool.PublishAsync(key, cancellationToken);
                published = key;
            }

            var wanted = OverflowRules.Wanted(await DemandAsync(published.KeyId, cancellationToken), options.Value.Slots, options.Value.MostAgents);
            var agents = await capacity.EnsureAsync(wanted, cancellationToken);
            if (agents.Running != lastRunning)
            {
                lastRunning = agents.Running;
                LogAgents(logger, agents.Running, wanted);
            }

            if (agents.WhyNotMore is { } why && agents.Running == 0)
            {
                await ExplainAsync(why, cancellationToken);
            }

            Interlocked.Increment(ref looks);
        }
        catch (OverflowCapacityException exception)
        {
            await ExplainAsync(exception.Message, cancellationToken);
            throw;
        }
    }

    /// <summary>Of jobs that were sealed to the pool and that its agents could run; others would only make agents come and go.</summary>
    private async Task<OverflowDemand> DemandAsync(string keyId, CancellationToken cancellationToken)
    {
        await using var command = turn.Connection.Command(
            """
            SELECT (SELECT count(*) FROM pending_units p JOIN jobs j USING (job_id)
                    WHERE p.lane = 'overflow' AND j.status IN ('submitted', 'running') AND $1 = ANY (j.recipients) AND j.device_kind = $2)::int,
                (SELECT count(*) FROM attempts a JOIN nodes n USING (node_id)
                    WHERE n.lane = 'overflow' AND n.recipient_key_id = $1 AND a.status IN ('offered', 'running'))::int
            """,
            keyId, SqlNames.Of(options.Value.Gpu ? DeviceKind.Gpu : DeviceKind.Cpu));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new OverflowDemand(reader.GetInt32(0), reader.GetInt32(1));
    }

    /// <summary>The job's summary shows it in place of placement's words, until an agent comes and placement looks again.</summary>
    private async Task ExplainAsync(string why, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            "UPDATE pending_units SET parked_reason = $1 WHERE lane = 'overflow' AND state = 'parked' AND parked_reason IS DISTINCT FROM $1",
            $"The unit overflowed, and no overflow agent can be started now: {why}");
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(scheduler.Value.Poll * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, limit.Token);
        await Task.WhenAny(delay, wake.Signals.ReadAsync(limit.Token).AsTask());
        await limit.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    [LoggerMessage(LogLevel.Warning, "Looking after the overflow lane failed for the {Failures}. time; it is tried again")]
    private static partial void LogRoundFailed(ILogger logger, Exception exception, int failures);

    [LoggerMessage(LogLevel.Information, "{Running} overflow agents run, {Wanted} are wanted")]
    private static partial void LogAgents(ILogger logger, int running, int wanted);
}
