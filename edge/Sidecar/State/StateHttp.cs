using System.Text.Json;
using RenderTrust.Sidecar.Api;

namespace RenderTrust.Sidecar.State;

/// <summary>/v1.0/state: save, get, bulk get, delete, transaction.</summary>
internal static class StateHttp
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1.0/state/{store}", ["POST", "PUT"], SaveAsync);
        routes.MapMethods("/v1.0/state/{store}/bulk", ["POST", "PUT"], GetManyAsync);
        routes.MapMethods("/v1.0/state/{store}/transaction", ["POST", "PUT"], TransactAsync);
        routes.MapGet("/v1.0/state/{store}/{**key}", GetAsync);
        routes.MapDelete("/v1.0/state/{store}/{**key}", DeleteAsync);
    }

    private static async Task SaveAsync(HttpContext context)
    {
        var store = context.App().Components.StateStore(context.Route("store"));
        using var body = await DaprHttp.ReadJsonAsync(context);
        if (body.RootElement.ValueKind != JsonValueKind.Array)
        {
            throw DaprError.Malformed("the body must be an array of {key, value}");
        }

        await store.WriteAllAsync([.. body.RootElement.EnumerateArray().Select(item => ReadItem(item, delete: false))], context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    private static async Task GetAsync(HttpContext context)
    {
        var store = context.App().Components.StateStore(context.Route("store"));
        if (await store.GetAsync(context.Route("key"), context.RequestAborted) is not { } entry)
        {
            await DaprHttp.NoContent(context);
            return;
        }

        if (entry.Etag.Length > 0)
        {
            context.Response.Headers.ETag = entry.Etag;
        }

        if (entry.ExpiresAt is { } expires)
        {
            context.Response.Headers["metadata.ttlExpireTime"] = Rfc3339(expires);
        }

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = entry.Value.Length;
        await context.Response.Body.WriteAsync(entry.Value, context.RequestAborted);
    }

    private static async Task GetManyAsync(HttpContext context)
    {
        var store = context.App().Components.StateStore(context.Route("store"));
        using var body = await DaprHttp.ReadJsonAsync(context);
        if (!DaprHttp.TryFind(body.RootElement, "keys", out var list) || list.ValueKind != JsonValueKind.Array)
        {
            throw DaprError.Malformed("the body must be {\"keys\": [..]}");
        }

        var keys = list.EnumerateArray().Select(key => key.ValueKind == JsonValueKind.String ? key.GetString()! : "").ToArray();
        var entries = await store.GetAsync(keys, context.RequestAborted);
        await DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartArray();
            for (var i = 0; i < keys.Length; i++)
            {
                writer.WriteStartObject();
                writer.WriteString("key", keys[i]);
                if (entries[i] is { } entry)
                {
                    WriteData(writer, entry);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        });
    }

    private static async Task DeleteAsync(HttpContext context)
    {
        var store = context.App().Components.StateStore(context.Route("store"));
        var etag = context.Request.Headers.IfMatch.ToString().Trim('"');
        await store.WriteAsync(
            new StateRequest(context.Route("key"), null, etag.Length == 0 ? null : etag,
                context.Request.Query["concurrency"] == "first-write", DaprHttp.QueryMetadata(context)),
            context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    private static async Task TransactAsync(HttpContext context)
    {
        var store = context.App().Components.StateStore(context.Route("store"));
        using var body = await DaprHttp.ReadJsonAsync(context);
        if (!DaprHttp.TryFind(body.RootElement, "operations", out var list) || list.ValueKind != JsonValueKind.Array)
        {
            throw DaprError.Malformed("the body must be {\"operations\": [..]}");
        }

        await store.TransactAsync([.. ReadOperations(list)], context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    /// <summary>The operations of a transaction; the actor API uses the same shape.</summary>
    public static IEnumerable<StateRequest> ReadOperations(JsonElement list)
    {
        foreach (var operation in list.EnumerateArray())
        {
            var kind = DaprHttp.ReadText(operation, "operation");
            if (kind is not ("upsert" or "delete"))
            {
                throw StateComponent.NotAnOperation(kind);
            }

            if (!DaprHttp.TryFind(operation, "request", out var request) || request.ValueKind != JsonValueKind.Object)
            {
                throw DaprError.Malformed("an operation has no request");
            }

            yield return ReadItem(request, kind == "delete");
        }
    }

    public static string Rfc3339(DateTimeOffset moment) => moment.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'");

    private static StateRequest ReadItem(JsonElement item, bool delete)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            throw DaprError.Malformed("an item is not an object with a key");
        }

        var concurrency = DaprHttp.TryFind(item, "options", out var options) ? DaprHttp.ReadText(options, "concurrency") : null;
        if (concurrency is not (null or "" or "first-write" or "last-write"))
        {
            throw DaprError.Malformed($"unrecognized concurrency model '{concurrency}': use first-write or last-write");
        }

        // Spelled out: a null array would turn into an empty value, and the delete into a write of it.
        ReadOnlyMemory<byte>? value = null;
        if (!delete)
        {
            value = DaprHttp.TryFind(item, "value", out var given) ? System.Text.Encoding.UTF8.GetBytes(given.GetRawText()) : "null"u8.ToArray();
        }

        var etag = DaprHttp.ReadText(item, "etag");
        return new StateRequest(
            DaprHttp.ReadText(item, "key") ?? "",
            value,
            string.IsNullOrEmpty(etag) ? null : etag,
            concurrency == "first-write",
            DaprHttp.ReadTextMap(item, "metadata"))
        {
            LastWrite = concurrency == "last-write",
            IsJson = true,
        };
    }

    // Values are usually JSON; bytes that are not come back as base64 text, since the answer itself is JSON.
    private static void WriteData(Utf8JsonWriter writer, StateEntry entry)
    {
        writer.WritePropertyName("data");
        try
        {
            writer.WriteRawValue(entry.Value.Span);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            writer.WriteBase64StringValue(entry.Value.Span);
        }

        writer.WriteString("etag", entry.Etag);
        if (entry.ExpiresAt is { } expires)
        {
            writer.WriteStartObject("metadata");
            writer.WriteString("ttlExpireTime", Rfc3339(expires));
            writer.WriteEndObject();
        }
    }
}
