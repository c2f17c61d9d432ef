using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults;

/// <summary>Hands this process' spans of jobs to the table that keeps them.</summary>
internal sealed partial class ExportSpansLoop(
    JobSpanQueue queue, ISpanSink sink, ServiceApp app, IOptions<TelemetryOptions> options, TimeProvider time, ILogger<ExportSpansLoop> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Only the gateway meets requests before it is known whether they are a job's; elsewhere the trace says so when it arrives.
        using var listener = new JobSpanListener(app.AppId, app.AppId == Apps.Gateway ? RequestSpans.All : RequestSpans.OfJobs, queue.Add);
        await queue.DrainAsync(
            TimeSpan.FromMilliseconds(options.Value.FlushMilliseconds), sink.WriteAsync, (count, cause) => LogDropped(logger, count, cause), time, stoppingToken);
    }

    [LoggerMessage(LogLevel.Warning, "{Count} spans of jobs were dropped: {Cause}")]
    private static partial void LogDropped(ILogger logger, int count, string cause);
}
