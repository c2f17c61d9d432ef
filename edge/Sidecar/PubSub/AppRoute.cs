using System.Net.Http.Headers;
using System.Text.Json;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>Posts each event to the app's route.</summary>
internal sealed partial class AppRoute(HostedApp app, AppClient client, ILogger logger) : IEventSink
{
    public async Task<DeliveryOutcome> DeliverAsync(RoutedEvent routed, CancellationToken cancellationToken)
    {
        using var request = client.NewRequest(app, HttpMethod.Post, routed.Route);
        request.Content = new ReadOnlyMemoryContent(routed.Body);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(CloudEvent.EnvelopeContentType);
        foreach (var (name, value) in routed.Message.Metadata)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var span = SidecarTrace.Begin("deliver", routed.Message.Topic, routed.TraceParent, routed.TraceState);
        AppClient.AddTrace(request, span?.Id ?? routed.TraceParent, routed.TraceState);
        try
        {
            using var response = await client.SendAsync(request, cancellationToken);
            if (response.StatusCode == System.Net.HttpStatusCode.NotFound)
            {
                LogNoRoute(logger, app.Id, routed.Message.Topic, routed.Route);
                return DeliveryOutcome.Drop;
            }

            if (!response.IsSuccessStatusCode)
            {
                LogRefused(logger, app.Id, routed.Message.Topic, routed.Route, (int)response.StatusCode);
                return DeliveryOutcome.Retry;
            }

            return Verdict(await response.Content.ReadAsByteArrayAsync(cancellationToken));
        }
        catch (HttpRequestException e)
        {
            LogUnreachable(logger, app.Id, routed.Message.Topic, routed.Route, e.Message);
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
            using var answer = Api.StrictJson.Parse(body);
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

    [LoggerMessage(LogLevel.Error, "App {AppId}, topic {Topic}: the app has no route {Route}, the message is not retried")]
    private static partial void LogNoRoute(ILogger logger, string appId, string topic, string route);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: route {Route} answered {Status}, the message will be delivered again")]
    private static partial void LogRefused(ILogger logger, string appId, string topic, string route, int status);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, topic {Topic}: route {Route} could not be reached ({Cause}), the message will be delivered again")]
    private static partial void LogUnreachable(ILogger logger, string appId, string topic, string route, string cause);
}
