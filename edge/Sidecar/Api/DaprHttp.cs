using Microsoft.AspNetCore.Http.Features;
using System.Buffers;
using System.Text.Json;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Api;

/// <summary>What every HTTP slice needs: the app whose port was called, and bodies in daprd's shape.</summary>
internal static class DaprHttp
{
    public static HostedApp App(this HttpContext context) => context.Features.GetRequiredFeature<HostedApp>();

    public static string Route(this HttpContext context, string name) => context.Request.RouteValues[name] as string ?? "";

    public static Task WriteErrorAsync(HttpContext context, DaprError error) =>
        WriteErrorAsync(context, error.HttpStatus, error.Code, error.Message);

    public static async Task WriteErrorAsync(HttpContext context, int status, string code, string message)
    {
        context.Response.StatusCode = status;
        await WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("errorCode", code);
            writer.WriteString("message", message);
            writer.WriteEndObject();
        });
    }

    public static async Task WriteJsonAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            write(writer);
        }

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = buffer.WrittenCount;
        await context.Response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
    }

    public static Task NoContent(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    public static async Task<byte[]> ReadBodyAsync(HttpContext context)
    {
        if (context.Request.ContentLength is { } length and <= int.MaxValue)
        {
            var exact = new byte[length];
            await context.Request.Body.ReadExactlyAsync(exact, context.RequestAborted);
            return exact;
        }

        using var buffer = new MemoryStream();
        await context.Request.Body.CopyToAsync(buffer, context.RequestAborted);
        return buffer.ToArray();
    }

    public static async Task<JsonDocument> ReadJsonAsync(HttpContext context)
    {
        var body = await ReadBodyAsync(context);
        try
        {
            return StrictJson.Parse(body);
        }
        catch (JsonException e)
        {
            throw DaprError.Malformed($"failed deserializing HTTP body: {e.Message}");
        }
    }

    /// <summary>Request metadata travels in the query as <c>metadata.{name}=value</c>.</summary>
    public static Dictionary<string, string> QueryMetadata(HttpContext context)
    {
        var metadata = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in context.Request.Query)
        {
            if (name.StartsWith("metadata.", StringComparison.OrdinalIgnoreCase))
            {
                metadata[name["metadata.".Length..]] = value.ToString();
            }
        }

        return metadata;
    }

    public static Dictionary<string, string> ReadTextMap(JsonElement parent, string name) =>
        TryFind(parent, name, out var element) && element.ValueKind == JsonValueKind.Object
            ? ReadTexts(element)
            : new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>Of a name that is there twice the last one counts.</summary>
    public static Dictionary<string, string> ReadTexts(JsonElement map)
    {
        var texts = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var item in map.EnumerateObject())
        {
            texts[item.Name] = item.Value.ValueKind == JsonValueKind.String ? item.Value.GetString()! : item.Value.GetRawText();
        }

        return texts;
    }

    /// <summary>daprd reads names in any case, and SDKs count on it: JavaScript's writes <c>entryID</c> for <c>entryId</c>.</summary>
    public static bool TryFind(JsonElement parent, string name, out JsonElement found)
    {
        found = default;
        if (parent.ValueKind != JsonValueKind.Object || parent.TryGetProperty(name, out found))
        {
            return parent.ValueKind == JsonValueKind.Object;
        }

        foreach (var property in parent.EnumerateObject())
        {
            if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                found = property.Value;
                return true;
            }
        }

        return false;
    }

    public static string? ReadText(JsonElement parent, string name) =>
        TryFind(parent, name, out var value)
            ? value.ValueKind switch
            {
                JsonValueKind.String => value.GetString(),
                JsonValueKind.Null => null,
                _ => value.GetRawText(),
            }
            : null;
}
