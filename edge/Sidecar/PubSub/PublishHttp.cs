using System.Text.Json;
using RenderTrust.Sidecar.Api;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>/v1.0/publish and /v1.0/publish/bulk.</summary>
internal static class PublishHttp
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1.0/publish/bulk/{pubsub}/{**topic}", ["POST", "PUT"], PublishManyAsync);
        routes.MapMethods("/v1.0-alpha1/publish/bulk/{pubsub}/{**topic}", ["POST", "PUT"], PublishManyAsync);
        routes.MapMethods("/v1.0/publish/{pubsub}/{**topic}", ["POST", "PUT"], PublishAsync);
    }

    private static async Task PublishAsync(HttpContext context)
    {
        var app = context.App();
        await Publisher.PublishAsync(
            app,
            app.Components.PubSub(context.Route("pubsub")),
            context.Route("topic"),
            context.Request.ContentType ?? "",
            await DaprHttp.ReadBodyAsync(context),
            DaprHttp.QueryMetadata(context),
            Header(context, "traceparent"),
            Header(context, "tracestate"),
            context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    private static async Task PublishManyAsync(HttpContext context)
    {
        var app = context.App();
        var pubSub = app.Components.PubSub(context.Route("pubsub"));
        using var body = await DaprHttp.ReadJsonAsync(context);
        if (body.RootElement.ValueKind != JsonValueKind.Array)
        {
            throw DaprError.Malformed("the body must be an array of {entryId, event, contentType}");
        }

        var entries = body.RootElement.EnumerateArray().Select(ReadEntry).ToList();
        var failed = await Publisher.PublishManyAsync(
            app, pubSub, context.Route("topic"), entries, DaprHttp.QueryMetadata(context), Header(context, "traceparent"), Header(context, "tracestate"), context.RequestAborted);
        if (failed.Count == 0)
        {
            await DaprHttp.NoContent(context);
            return;
        }

        // An outage if there was one, else what the entries themselves got wrong.
        context.Response.StatusCode = failed.Max(entry => entry.Error.HttpStatus);
        await DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("failedEntries");
            foreach (var (entryId, error) in failed)
            {
                writer.WriteStartObject();
                writer.WriteString("entryId", entryId);
                writer.WriteString("error", error.Message);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteString("errorCode", "ERR_PUBSUB_PUBLISH_MESSAGE");
            writer.WriteEndObject();
        });
    }

    private static BulkEntry ReadEntry(JsonElement item)
    {
        var entryId = DaprHttp.ReadText(item, "entryId");
        if (string.IsNullOrEmpty(entryId) || !DaprHttp.TryFind(item, "event", out var data))
        {
            throw DaprError.Malformed("an entry has no entryId or no event");
        }

        var contentType = DaprHttp.ReadText(item, "contentType") ?? "";
        return new BulkEntry(entryId, ReadEvent(data, contentType), contentType, DaprHttp.ReadTextMap(item, "metadata"));
    }

    // A text event is the event itself; with a binary content type it is base64, as JSON cannot carry bytes.
    private static byte[] ReadEvent(JsonElement data, string contentType)
    {
        if (data.ValueKind != JsonValueKind.String || CloudEvent.MediaType(contentType) is "application/json")
        {
            return System.Text.Encoding.UTF8.GetBytes(data.GetRawText());
        }

        if (CloudEvent.MediaType(contentType) == "application/octet-stream")
        {
            return data.TryGetBytesFromBase64(out var bytes) ? bytes : throw DaprError.Malformed("an application/octet-stream event is not base64");
        }

        return System.Text.Encoding.UTF8.GetBytes(data.GetString()!);
    }

    private static string? Header(HttpContext context, string name) =>
        context.Request.Headers.TryGetValue(name, out var value) ? value.ToString() : null;
}
