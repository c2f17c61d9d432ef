using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults;

/// <summary>Hands spans of jobs on in batches, away from every request. What cannot be handed on now is dropped and counted: a trace is help, not a fact.</summary>
internal sealed partial class ExportSpansLoop(
    JobSpanQueue queue, ISpanSink sink, ServiceApp app, IOptions<TelemetryOptions> options, TimeProvider time, ILogger<ExportSpansLoop> logger) : BackgroundService
{
    private const int MostPerBatch = 500;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Only the gateway meets requests before it is known whether they are a job's; elsewhere the trace says so when it arrives.
        using var listener = new JobSpanListener(app.AppId, app.AppId == Apps.Gateway ? RequestSpans.All : RequestSpans.OfJobs, queue.Add);
        try
        {
            while (true)
            {
                var spans = await queue.TakeAsync(MostPerBatch, TimeSpan.FromMilliseconds(options.Value.FlushMilliseconds), time, stoppingToken);
                await WriteAsync(spans, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    private async Task WriteAsync(IReadOnlyList<JobSpan> spans, CancellationToken cancellationToken)
    {
        try
        {
            await sink.WriteAsync(spans, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // A neighbour or the database is away. Keeping them would only make the gap longer.
            JobSpanQueue.CountDropped(spans.Count);
            LogDropped(logger, spans.Count, exception.Message);
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Count} spans of jobs were dropped: {Cause}")]
    private static partial void LogDropped(ILogger logger, int count, string cause);
}
