using System.Net.Http.Headers;
using System.Text.Json;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>What becomes of a message after one delivery.</summary>
internal enum DeliveryOutcome
{
    Acknowledge = 0,
    Retry = 1,
    Drop = 2,
}

/// <summary>Carries one subscription's messages to its app and reads the app's verdict.</summary>
internal sealed partial class EventDelivery(HostedApp app, Subscription subscription, PubSubComponent pubSub, AppClient client, TimeProvider time, ILogger logger)
{
    public async Task<bool> HandleAsync(BrokerMessage message, CancellationToken cancellationToken)
    {
        var outcome = await DeliverAsync(message, cancellationToken);
        if (outcome == DeliveryOutcome.Acknowledge)
        {
            return true;
        }

        if (subscription.DeadLetterTopic is { } deadLetter)
        {
            try
            {
                await pubSub.PublishAsync(deadLetter, message.Data, message.Metadata, cancellationToken);
                LogDeadLettered(logger, app.Id, message.Topic, deadLetter, outcome);
                return true;
            }
            catch (Api.DaprError e)
            {
                // The message stays with the broker, so nothing is lost: the next delivery tries again.
                LogDeadLetterFailed(logger, e, app.Id, message.Topic, deadLetter);
                return false;
            }
        }

        if (outcome == DeliveryOutcome.Drop)
        {
            LogDropped(logger, app.Id, message.Topic);
            return true;
        }

        return false;
    }

    private async Task<DeliveryOutcome> DeliverAsync(BrokerMessage message, CancellationToken cancellationToken)
    {
        var body = subscription.IsRaw ? CloudEvent.WrapRaw(pubSub.Name, message.Topic, message.Data, time.GetUtcNow()) : message.Data;
        string? route;
        string? traceParent;
        string? traceState;
        try
        {
            using var envelope = JsonDocument.Parse(body);
            if (envelope.RootElement.ValueKind != JsonValueKind.Object)
            {
                LogNotAnEvent(logger, app.Id, message.Topic, "the message is not a JSON object");
                return DeliveryOutcome.Drop;
            }

            if (IsExpired(envelope.RootElement))
            {
                LogExpired(logger, app.Id, message.Topic);
                return DeliveryOutcome.Drop;
            }

            route = subscription.RouteFor(envelope.RootElement);
            traceParent = Text(envelope.RootElement, "traceparent");
            traceState = Text(envelope.RootElement, "tracestate");
        }
        catch (JsonException e)
        {
            // It can never become readable, so it is not retried for ever: dead letter if there is one, else logged and gone.
            LogNotAnEvent(logger, app.Id, message.Topic, e.Message);
            return DeliveryOutcome.Drop;
        }

        if (route is null)
        {
            return subscription.DeadLetterTopic is null ? DeliveryOutcome.Acknowledge : DeliveryOutcome.Drop;
        }

        if (pubSub.Inbound is not { } policy)
        {
            return await PostAsync(route, message, body, traceParent, traceState, cancellationToken);
        }

        try
        {
            return await policy.ExecuteAsync(token => PostAsync(route, message, body, traceParent, traceState, token), cancellationToken);
        }
        catch (Exception e) when (e is TimeoutException or Resilience.CircuitOpenException)
        {
            LogUnreachable(logger, app.Id, message.Topic, route, e.Message);
            return DeliveryOutcome.Retry;
        }
    }

    private async Task<DeliveryOutcome> PostAsync(
        string route, BrokerMessage message, ReadOnlyMemory<byte> body, string? traceParent, string? traceState, CancellationToken cancellationToken)
    {
        using var request = client.NewRequest(app, HttpMethod.Post, route);
        request.Content = new ReadOnlyMemoryContent(body);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(CloudEvent.EnvelopeContentType);
        foreach (var (name, value) in message.Metadata)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var span = SidecarTrace.Begin("deliver", message.Topic, traceParent, traceState);
        AppClient.AddTrace(request, span?.Id ?? traceParent, traceState);
        try
        {
            using var response = await client.SendAsync(request, cancellationToken);
            if (response.StatusCode == System.Net.HttpStatusCode.NotFound)
            {
                LogNoRoute(logger, app.Id, message.Topic, route);
                return DeliveryOutcome.Drop;
            }

            if (!response.IsSuccessStatusCode)
            {
                LogRefused(logger, app.Id, message.Topic, route, (int)response.StatusCode);
                return DeliveryOutcome.Retry;
            }

            return Verdict(await response.Content.ReadAsByteArrayAsync(cancellationToken));
        }
        catch (HttpRequestException e)
        {
            LogUnreachable(logger, app.Id, message.Topic, route, e.Message);
            return DeliveryOutcome.Retry;
        }
    }

    private static DeliveryOutcome Verdict(byte[] body)
    {
        if (body.Length == 0)
        {
            return DeliveryOutcome.Acknowledge;
        }

        try
        {
            using var answer = JsonDocument.Parse(body);
            var status = answer.RootElement.ValueKind == JsonValueKind.Object
                ? answer.RootElement.EnumerateObject().FirstOrDefault(p => p.NameEquals("status")).Value
                : default;
            return status.ValueKind != JsonValueKind.String
                ? DeliveryOutcome.Acknowledge
                : status.GetString() switch
                {
                    "" or "SUCCESS" => DeliveryOutcome.Acknowledge,
                    "DROP" => DeliveryOutcome.Drop,
                    _ => DeliveryOutcome.Retry,
                };
        }
        catch (JsonException)
        {
            return DeliveryOutcome.Acknowledge;
        }
    }

    private bool IsExpired(JsonElement envelope) =>
        Text(envelope, "expiration") is { } text && DateTimeOffset.TryParse(text, out var moment) && moment < time.GetUtcNow();

    private static string? Text(JsonElement envelope, string name) =>
        envelope.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: a message went to dead letter topic {DeadLetterTopic} ({Outcome})")]
    private static partial void LogDeadLettered(ILogger logger, string appId, string topic, string deadLetterTopic, DeliveryOutcome outcome);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: dead letter topic {DeadLetterTopic} took nothing, the message stays with the broker")]
    private static partial void LogDeadLetterFailed(ILogger logger, Exception exception, string appId, string topic, string deadLetterTopic);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: a message was dropped")]
    private static partial void LogDropped(ILogger logger, string appId, string topic);

    [LoggerMessage(LogLevel.Information, "App {AppId}, topic {Topic}: a message had expired")]
    private static partial void LogExpired(ILogger logger, string appId, string topic);

    [LoggerMessage(LogLevel.Error, "App {AppId}, topic {Topic}: a message is not a CloudEvent ({Cause}); subscribe with rawPayload to receive it")]
    private static partial void LogNotAnEvent(ILogger logger, string appId, string topic, string cause);

    [LoggerMessage(LogLevel.Error, "App {AppId}, topic {Topic}: the app has no route {Route}, the message is not retried")]
    private static partial void LogNoRoute(ILogger logger, string appId, string topic, string route);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: route {Route} answered {Status}, the message will be delivered again")]
    private static partial void LogRefused(ILogger logger, string appId, string topic, string route, int status);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: route {Route} could not be reached ({Cause}), the message will be delivered again")]
    private static partial void LogUnreachable(ILogger logger, string appId, string topic, string route, string cause);
}
