using System.Text.Json;
using RenderTrust.Telemetry;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>Where this host posts its finished spans of jobs: an app of its own and a path there, written <c>APP/path</c>.</summary>
internal sealed record SpanSink(string AppId, string Path)
{
    public static SpanSink? Parse(string text) =>
        text.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash && slash < text.Length - 1 ? new SpanSink(text[..slash], text[slash..]) : null;
}

/// <summary>Posts this host's spans of jobs to one of its apps.</summary>
internal sealed partial class ExportSpans(SpanSink sink, AppDirectory apps, AppClient client, TimeProvider time, ILogger<ExportSpans> logger) : IAsyncDisposable
{
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private readonly CancellationTokenSource stop = new();
    private Task running = Task.CompletedTask;

    public void Start() => running = RunAsync(stop.Token);

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running;
        stop.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        var queue = new JobSpanQueue();
        using var listener = new JobSpanListener("sidecar", RequestSpans.None, queue.Add);
        await queue.DrainAsync(Gather, PostAsync, (count, cause) => LogDropped(logger, count, sink.AppId, cause), time, cancellationToken);
    }

    private async Task PostAsync(IReadOnlyList<JobSpan> spans, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        using var request = client.NewRequest(apps.Find(sink.AppId)!, HttpMethod.Post, sink.Path);
        request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(new JobSpanBatch(spans), JsonSerializerOptions.Web));
        request.Content.Headers.ContentType = new("application/json");
        using var response = await client.SendAsync(request, limit.Token);
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"it answered {(int)response.StatusCode}");
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Count} spans of jobs were dropped, app {AppId} did not take them: {Cause}")]
    private static partial void LogDropped(ILogger logger, int count, string appId, string cause);
}
