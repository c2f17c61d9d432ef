using System.Diagnostics.Metrics;
using System.Threading.Channels;

namespace RenderTrust.Telemetry;

/// <summary>Finished spans on their way out of a process. Nobody waits for them: when it is full they are dropped and counted.</summary>
public sealed class JobSpanQueue
{
    private const int Length = 20_000;
    private const int MostPerBatch = 500;
    private static readonly Meter Meter = new(TelemetryNames.Meter);
    private static readonly Counter<long> Dropped = Meter.CreateCounter<long>("rendertrust.spans.dropped", "{span}", "Spans of jobs that could not be kept.");

    private readonly Channel<JobSpan> spans = Channel.CreateBounded<JobSpan>(
        new BoundedChannelOptions(Length) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true }, _ => Dropped.Add(1));

    public void Add(JobSpan span) => spans.Writer.TryWrite(span);

    /// <summary>
    /// Hands spans on in batches until it is cancelled, off every request's path. What cannot be handed on now is dropped and counted: a trace is help, not a
    /// fact, and keeping spans while a neighbour is away would only make the gap longer.
    /// </summary>
    /// <param name="gather">How long spans gather after the first of a batch.</param>
    /// <param name="handOn">Throws when the batch was not taken.</param>
    /// <param name="dropped">Told how many spans were lost, and why.</param>
    public async Task DrainAsync(
        TimeSpan gather, Func<IReadOnlyList<JobSpan>, CancellationToken, Task> handOn, Action<int, string> dropped, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await spans.Reader.WaitToReadAsync(cancellationToken);
                await Task.Delay(gather, time, cancellationToken);
                var batch = Take();
                try
                {
                    await handOn(batch, cancellationToken);
                }
                catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
                {
                    Dropped.Add(batch.Count);
                    dropped(batch.Count, exception.Message);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return;
        }
    }

    private List<JobSpan> Take()
    {
        var taken = new List<JobSpan>();
        while (taken.Count < MostPerBatch && spans.Reader.TryRead(out var span))
        {
            taken.Add(span);
        }

        return taken;
    }
}
