using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Hub;

/// <summary>Heartbeats and progress end here and go on in batches: only the newest of each counts, and a lost batch does no harm.</summary>
internal sealed partial class NodeReports(AppInvoker invoker, IOptions<HubOptions> options, TimeProvider time, ILogger<NodeReports> logger) : BackgroundService
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan HeartbeatInterval = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<NodeId, NodeHeartbeat> heartbeats = new();
    private readonly Lock gate = new();
    private Dictionary<NodeId, Dictionary<AttemptId, UnitProgressReport>> progress = [];

    public void Heartbeat(NodeHeartbeat heartbeat) => heartbeats[heartbeat.NodeId] = heartbeat;

    /// <param name="most">How many attempts the node can run at once: what it says of more between two batches is dropped, so that no node fills the hub's memory.</param>
    public void Progress(UnitProgressReport report, int most)
    {
        lock (gate)
        {
            if (!progress.TryGetValue(report.NodeId, out var mine))
            {
                progress[report.NodeId] = mine = [];
            }

            if (mine.Count < most || mine.ContainsKey(report.AttemptId))
            {
                mine[report.AttemptId] = report;
            }
        }
    }

    // Apart, so that progress that the scheduler does not take never makes nodes look dead.
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        RepeatAsync(ProgressInterval, async cancellationToken =>
        {
            if (TakeProgress() is { Count: > 0 } reports)
            {
                await invoker.PostAsync(Apps.Scheduler, "/internal/progress", new ProgressBatch(reports), cancellationToken);
            }
        }, stoppingToken),
        RepeatAsync(HeartbeatInterval, async cancellationToken =>
        {
            if (Take(heartbeats) is { Count: > 0 } beats)
            {
                await invoker.PostAsync(Apps.Scheduler, "/internal/node-heartbeats", new NodeHeartbeatBatch(options.Value.AppId, beats), cancellationToken);
            }
        }, stoppingToken));

    private async Task RepeatAsync(TimeSpan interval, Func<CancellationToken, Task> deliver, CancellationToken stoppingToken)
    {
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(interval, time, stoppingToken);
                await deliver(stoppingToken);
                failures = 0;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The next report says more than the lost one did.
                failures++;
                if (failures % 40 == 1)
                {
                    LogNotDelivered(logger, exception, failures);
                }
            }
        }
    }

    private List<UnitProgressReport> TakeProgress()
    {
        lock (gate)
        {
            var taken = progress.Values.SelectMany(mine => mine.Values).ToList();
            progress = [];
            return taken;
        }
    }

    private static List<TValue> Take<TKey, TValue>(ConcurrentDictionary<TKey, TValue> values)
        where TKey : notnull
    {
        var taken = new List<TValue>();
        foreach (var key in values.Keys)
        {
            if (values.TryRemove(key, out var value))
            {
                taken.Add(value);
            }
        }

        return taken;
    }

    [LoggerMessage(LogLevel.Warning, "Heartbeats or progress did not reach the scheduler ({Failures} times in a row)")]
    private static partial void LogNotDelivered(ILogger logger, Exception exception, int failures);
}
