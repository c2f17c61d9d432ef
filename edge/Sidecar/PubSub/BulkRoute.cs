using System.Buffers;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Threading.Channels;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.PubSub;

/// <param name="MaxMessages">Events of one call at most.</param>
/// <param name="MaxAwait">How long the first event of a call waits for others.</param>
internal sealed record BulkOptions(int MaxMessages, TimeSpan MaxAwait)
{
    public const int DefaultMaxMessages = 100;
    public const int DefaultMaxAwaitMilliseconds = 1000;
}

/// <summary>
/// Posts events to the app's route many at a time. Each waits here for its own verdict, so a broker that hands out ten at once never
/// sees a call of more than ten.
/// </summary>
internal sealed partial class BulkRoute : IEventSink, IAsyncDisposable
{
    private readonly Channel<Waiting> queue = Channel.CreateUnbounded<Waiting>();
    private readonly CancellationTokenSource stopping = new();
    private readonly HostedApp app;
    private readonly Subscription subscription;
    private readonly BulkOptions options;
    private readonly AppClient client;
    private readonly ILogger logger;
    private readonly Task collecting;

    public BulkRoute(HostedApp app, Subscription subscription, BulkOptions options, AppClient client, ILogger logger)
    {
        (this.app, this.subscription, this.options, this.client, this.logger) = (app, subscription, options, client, logger);
        collecting = CollectAsync(stopping.Token);
    }

    public async Task<DeliveryOutcome> DeliverAsync(RoutedEvent routed, CancellationToken cancellationToken)
    {
        var waiting = new Waiting(Guid.CreateVersion7().ToString(), routed, new TaskCompletionSource<DeliveryOutcome>(TaskCreationOptions.RunContinuationsAsynchronously));
        await queue.Writer.WriteAsync(waiting, cancellationToken);
        return await waiting.Outcome.Task.WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await collecting;
        stopping.Dispose();
    }

    private async Task CollectAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await queue.Reader.WaitToReadAsync(cancellationToken))
            {
                var batch = await TakeAsync(cancellationToken);
                await Task.WhenAll(batch.GroupBy(waiting => waiting.Event.Route).Select(group => PostAsync(group.Key, [.. group], cancellationToken)));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // What still waits here was not acknowledged: it stays with the broker.
        }
    }

    private async Task<List<Waiting>> TakeAsync(CancellationToken cancellationToken)
    {
        var batch = new List<Waiting>();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.MaxAwait);
        try
        {
            while (batch.Count < options.MaxMessages)
            {
                batch.Add(await queue.Reader.ReadAsync(limit.Token));
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Time is up: what came goes.
        }

        return batch;
    }

    private async Task PostAsync(string route, List<Waiting> batch, CancellationToken cancellationToken)
    {
        Func<Waiting, DeliveryOutcome> verdict;
        try
        {
            using var request = client.NewRequest(app, HttpMethod.Post, route);
            request.Content = new ReadOnlyMemoryContent(Write(batch));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            AppClient.AddTrace(request, null, null);
            using var response = await client.SendAsync(request, cancellationToken);
            verdict = response.StatusCode == System.Net.HttpStatusCode.NotFound
                ? static _ => DeliveryOutcome.Discard
                : response.IsSuccessStatusCode ? Verdicts(await response.Content.ReadAsByteArrayAsync(cancellationToken)) : static _ => DeliveryOutcome.Retry;
            LogAnswered(logger, app.Id, subscription.Topic, route, batch.Count, (int)response.StatusCode);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            LogUnreachable(logger, app.Id, subscription.Topic, route, batch.Count, e.Message);
            verdict = static _ => DeliveryOutcome.Retry;
        }

        batch.ForEach(waiting => waiting.Outcome.TrySetResult(verdict(waiting)));
    }

    private byte[] Write(List<Waiting> batch)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("id", Guid.CreateVersion7());
            writer.WriteString("type", "com.dapr.event.sent.bulk");
            writer.WriteString("topic", subscription.Topic);
            writer.WriteString("pubsubname", subscription.PubSub);
            writer.WriteStartObject("metadata");
            writer.WriteEndObject();
            writer.WriteStartArray("entries");
            batch.ForEach(waiting => WriteEntry(writer, waiting));
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private void WriteEntry(Utf8JsonWriter writer, Waiting waiting)
    {
        writer.WriteStartObject();
        writer.WriteString("entryId", waiting.EntryId);
        if (subscription.IsRaw)
        {
            writer.WriteBase64String("event", waiting.Event.Message.Data.Span);
            writer.WriteString("contentType", "application/octet-stream");
        }
        else
        {
            // Parsed before it was routed, so it is whole.
            writer.WritePropertyName("event");
            writer.WriteRawValue(waiting.Event.Body.Span, skipInputValidation: true);
            writer.WriteString("contentType", CloudEvent.EnvelopeContentType);
        }

        writer.WriteStartObject("metadata");
        foreach (var (name, value) in waiting.Event.Message.Metadata)
        {
            writer.WriteString(name, value);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary>By entry. Unlike for single events, an entry without a status is to come again.</summary>
    private static Func<Waiting, DeliveryOutcome> Verdicts(byte[] body)
    {
        var statuses = new Dictionary<string, DeliveryOutcome>(StringComparer.Ordinal);
        try
        {
            using var answer = Api.StrictJson.Parse(body);
            if (answer.RootElement.ValueKind == JsonValueKind.Object && answer.RootElement.TryGetProperty("statuses", out var list) && list.ValueKind == JsonValueKind.Array)
            {
                foreach (var entry in list.EnumerateArray())
                {
                    statuses[Api.DaprHttp.ReadText(entry, "entryId") ?? ""] = Api.DaprHttp.ReadText(entry, "status") switch
                    {
                        "SUCCESS" => DeliveryOutcome.Acknowledge,
                        "DROP" => DeliveryOutcome.Drop,
                        _ => DeliveryOutcome.Retry,
                    };
                }
            }
        }
        catch (JsonException)
        {
            // Without statuses nothing is known to have been handled.
            return static _ => DeliveryOutcome.Retry;
        }

        return waiting => statuses.GetValueOrDefault(waiting.EntryId, DeliveryOutcome.Retry);
    }

    [LoggerMessage(LogLevel.Debug, "App {AppId}, topic {Topic}: route {Route} answered {Events} events with {Status}")]
    private static partial void LogAnswered(ILogger logger, string appId, string topic, string route, int events, int status);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: route {Route} could not be reached with {Events} events ({Cause}), they will be delivered again")]
    private static partial void LogUnreachable(ILogger logger, string appId, string topic, string route, int events, string cause);

    private sealed record Waiting(string EntryId, RoutedEvent Event, TaskCompletionSource<DeliveryOutcome> Outcome);
}
