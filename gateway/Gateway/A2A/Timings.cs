using System.Threading.Channels;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

/// <summary>Takes measured times from request paths without ever making them wait; a full queue drops the oldest, since figures are not facts.</summary>
internal sealed class Timings
{
    private readonly Channel<Timing> _queue = Channel.CreateBounded<Timing>(new BoundedChannelOptions(10_000) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    public ChannelReader<Timing> Queue => _queue.Reader;

    public void Record(TaskId taskId, string name, TimeSpan elapsed, int? unitIndex = null) => _queue.Writer.TryWrite(new Timing(taskId, name, elapsed.TotalMilliseconds, unitIndex));
}

/// <summary>Hands measured times to the scheduler in batches, away from every request.</summary>
internal sealed partial class FlushTimingsLoop(Timings timings, AppInvoker apps, IOptions<A2AGatewayOptions> options, TimeProvider time, ILogger<FlushTimingsLoop> logger) : BackgroundService
{
    private const int MaxBatch = 500;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (await timings.Queue.WaitToReadAsync(stoppingToken))
        {
            // A moment for more of them to gather, so that a busy gateway does not post one by one.
            await Task.Delay(TimeSpan.FromMilliseconds(options.Value.TimingFlushMilliseconds), time, stoppingToken);
            var batch = new List<Timing>();
            while (batch.Count < MaxBatch && timings.Queue.TryRead(out var timing))
            {
                batch.Add(timing);
            }

            try
            {
                await apps.PostAsync(Apps.Scheduler, "/internal/timings", new TimingBatch(batch), stoppingToken);
            }
            catch (Exception exception) when (NeighbourFaults.IsOne(exception))
            {
                LogDropped(logger, batch.Count, exception.Message);
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Count} measured times were dropped: {Cause}")]
    private static partial void LogDropped(ILogger logger, int count, string cause);
}
