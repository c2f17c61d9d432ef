using System.Diagnostics.Metrics;
using System.Threading.Channels;

namespace RenderTrust.Telemetry;

/// <summary>Finished spans on their way out of a process. Nobody waits for them: when it is full they are dropped and counted.</summary>
public sealed class JobSpanQueue
{
    private const int Length = 20_000;
    private static readonly Meter Meter = new(TelemetryNames.Meter);
    private static readonly Counter<long> Dropped = Meter.CreateCounter<long>("rendertrust.spans.dropped", "{span}", "Spans of jobs that could not be kept.");

    private readonly Channel<JobSpan> spans = Channel.CreateBounded<JobSpan>(
        new BoundedChannelOptions(Length) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true }, _ => Dropped.Add(1));

    public void Add(JobSpan span) => spans.Writer.TryWrite(span);

    /// <summary>For who could not hand spans on.</summary>
    public static void CountDropped(int count) => Dropped.Add(count);

    /// <summary>Waits for a first span, gathers what comes within a moment, and gives at most <paramref name="most"/>.</summary>
    public async Task<IReadOnlyList<JobSpan>> TakeAsync(int most, TimeSpan gather, TimeProvider time, CancellationToken cancellationToken)
    {
        await spans.Reader.WaitToReadAsync(cancellationToken);
        await Task.Delay(gather, time, cancellationToken);
        return TakeQueued(most);
    }

    /// <summary>What is there now.</summary>
    public IReadOnlyList<JobSpan> TakeQueued(int most)
    {
        var taken = new List<JobSpan>();
        while (taken.Count < most && spans.Reader.TryRead(out var span))
        {
            taken.Add(span);
        }

        return taken;
    }
}
