using RenderTrust.Sidecar.Actors;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Api;

/// <summary>/v1.0/metadata, /v1.0/healthz, /v1.0/shutdown.</summary>
internal static class MetadataHttp
{
    public const string RuntimeVersion = "1.18.2-rendertrust.embedded";

    public static void Map(IEndpointRouteBuilder routes, ActorRuntime actors, Action shutDown)
    {
        routes.MapGet("/v1.0/metadata", context => WriteAsync(context, actors));
        routes.MapPut("/v1.0/metadata/{key}", SetAsync);
        routes.MapGet("/v1.0/healthz", Health);
        // Ready as soon as the API listens: an app that waits for it while starting must not wait for itself.
        routes.MapGet("/v1.0/healthz/outbound", DaprHttp.NoContent);
        routes.MapPost("/v1.0/shutdown", context =>
        {
            shutDown();
            return DaprHttp.NoContent(context);
        });
    }

    /// <summary>What a component can do, in daprd's words.</summary>
    public static IReadOnlyList<string> Capabilities(string type, bool isActorStore) => type switch
    {
        "state.postgresql" or "state.postgres" or "state.redis" or "state.sqlite" or "state.in-memory" =>
            isActorStore ? ["ETAG", "TRANSACTIONAL", "TTL", "ACTOR"] : ["ETAG", "TRANSACTIONAL", "TTL"],
        "pubsub.in-memory" => ["SUBSCRIBE_WILDCARDS"],
        "bindings.cron" => ["INPUT_BINDING"],
        _ => [],
    };

    private static Task Health(HttpContext context)
    {
        var app = context.App();
        var asked = context.Request.Query["appid"].ToString();
        if (asked.Length > 0 && asked != app.Id)
        {
            return DaprHttp.WriteErrorAsync(context, 500, "ERR_HEALTH_APPID_NOT_MATCH", $"dapr app-id does not match: this endpoint serves {app.Id}");
        }

        return app.State.Health is AppHealth.Ready or AppHealth.Unhealthy
            ? DaprHttp.NoContent(context)
            : DaprHttp.WriteErrorAsync(context, 500, "ERR_HEALTH_NOT_READY", $"dapr is not ready: app {app.Id} is {app.State.Health}");
    }

    private static async Task SetAsync(HttpContext context)
    {
        var body = await DaprHttp.ReadBodyAsync(context);
        context.App().ExtendedMetadata[context.Route("key")] = System.Text.Encoding.UTF8.GetString(body);
        await DaprHttp.NoContent(context);
    }

    private static Task WriteAsync(HttpContext context, ActorRuntime actors)
    {
        var app = context.App();
        return DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", app.Id);
            writer.WriteString("runtimeVersion", RuntimeVersion);
            writer.WriteStartArray("enabledFeatures");
            foreach (var feature in app.Configuration.Features)
            {
                writer.WriteStringValue(feature);
            }

            writer.WriteEndArray();
            writer.WriteStartArray("components");
            foreach (var component in app.Components.Definitions)
            {
                writer.WriteStartObject();
                writer.WriteString("name", component.Name);
                writer.WriteString("type", component.Type);
                writer.WriteString("version", component.Version);
                writer.WriteStartArray("capabilities");
                foreach (var capability in Capabilities(component.Type, app.Components.ActorStore?.Name == component.Name))
                {
                    writer.WriteStringValue(capability);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteStartObject("extended");
            writer.WriteString("daprRuntimeVersion", RuntimeVersion);
            foreach (var (key, value) in app.ExtendedMetadata)
            {
                writer.WriteString(key, value);
            }

            writer.WriteEndObject();
            WriteSubscriptions(writer, app);
            writer.WriteStartObject("appConnectionProperties");
            writer.WriteNumber("port", app.Definition.AppPort);
            writer.WriteString("protocol", app.Definition.Protocol);
            writer.WriteString("channelAddress", app.Definition.ChannelAddress);
            writer.WriteEndObject();
            writer.WriteStartObject("actorRuntime");
            writer.WriteString("runtimeStatus", app.ActorConfiguration.Types.Count > 0 ? "RUNNING" : "DISABLED");
            writer.WriteStartArray("activeActors");
            foreach (var (type, count) in actors.ActiveActors(app))
            {
                writer.WriteStartObject();
                writer.WriteString("type", type);
                writer.WriteNumber("count", count);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteBoolean("hostReady", app.ActorConfiguration.Types.Count > 0);
            writer.WriteString("placement", "placement: embedded");
            writer.WriteEndObject();
            writer.WriteEndObject();
        });
    }

    private static void WriteSubscriptions(System.Text.Json.Utf8JsonWriter writer, HostedApp app)
    {
        writer.WriteStartArray("subscriptions");
        foreach (var subscription in app.Subscriptions)
        {
            writer.WriteStartObject();
            writer.WriteString("pubsubname", subscription.PubSub);
            writer.WriteString("topic", subscription.Topic);
            writer.WriteString("deadLetterTopic", subscription.DeadLetterTopic ?? "");
            writer.WriteString("type", subscription.IsDeclarative ? "DECLARATIVE" : "PROGRAMMATIC");
            writer.WriteStartObject("metadata");
            foreach (var (key, value) in subscription.Metadata)
            {
                writer.WriteString(key, value);
            }

            writer.WriteEndObject();
            writer.WriteStartArray("rules");
            foreach (var (text, _, path) in subscription.Rules)
            {
                writer.WriteStartObject();
                writer.WriteString("match", text);
                writer.WriteString("path", path);
                writer.WriteEndObject();
            }

            if (subscription.DefaultRoute is { } route)
            {
                writer.WriteStartObject();
                writer.WriteString("path", route);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
