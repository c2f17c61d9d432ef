using System.Text.Json;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>Carries one subscription's messages to its app and reads the app's verdict.</summary>
internal sealed partial class EventDelivery(HostedApp app, Subscription subscription, PubSubComponent pubSub, IEventSink sink, TimeProvider time, ILogger logger)
{
    public async Task<bool> HandleAsync(BrokerMessage message, CancellationToken cancellationToken)
    {
        if (app.State.Health == AppHealth.Unhealthy)
        {
            // What it would get waits with its broker, unacknowledged.
            await app.UntilWellAsync(cancellationToken);
        }

        var outcome = await DeliverAsync(message, cancellationToken);
        if (outcome == DeliveryOutcome.Acknowledge)
        {
            return true;
        }

        if (subscription.DeadLetterTopic is { } deadLetter && outcome != DeliveryOutcome.Discard)
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

        if (outcome is DeliveryOutcome.Drop or DeliveryOutcome.Discard)
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
            using var envelope = Api.StrictJson.Parse(body);
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

        var routed = new RoutedEvent(route, message, body, traceParent, traceState);
        if (pubSub.Inbound is not { } policy)
        {
            return await sink.DeliverAsync(routed, cancellationToken);
        }

        try
        {
            return await policy.ExecuteAsync(token => sink.DeliverAsync(routed, token), cancellationToken);
        }
        catch (Exception e) when (e is TimeoutException or Resilience.CircuitOpenException)
        {
            LogEndedByPolicy(logger, app.Id, message.Topic, e.Message);
            return DeliveryOutcome.Retry;
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

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: a delivery was ended by the component's resiliency policy ({Cause})")]
    private static partial void LogEndedByPolicy(ILogger logger, string appId, string topic, string cause);
}
