using System.Text.Json;
using System.Text.Unicode;

namespace RenderTrust.Sidecar.Api;

/// <summary>
/// JSON that somebody else has written. Its texts are judged here, once: bytes that are no UTF-8 and half of a surrogate pair are otherwise noticed
/// only by whoever reads that one text, far from the caller whose mistake it is.
/// </summary>
internal static class StrictJson
{
    /// <exception cref="JsonException">It is no JSON, or a text in it is none.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json)
    {
        if (!Utf8.IsValid(json.Span))
        {
            throw new JsonException("the text is not UTF-8");
        }

        var document = JsonDocument.Parse(json);
        if (json.Span.IndexOf("\\ud"u8) >= 0 || json.Span.IndexOf("\\uD"u8) >= 0)
        {
            try
            {
                Read(document.RootElement);
            }
            catch (InvalidOperationException e)
            {
                document.Dispose();
                throw new JsonException($"a text has half of a surrogate pair: {e.Message}", e);
            }
        }

        return document;
    }

    public static bool IsValid(ReadOnlyMemory<byte> json)
    {
        try
        {
            Parse(json).Dispose();
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    // As deep as the parser lets anything be, which is 64.
    private static void Read(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                {
                    _ = property.Name;
                    Read(property.Value);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                {
                    Read(item);
                }

                break;
            case JsonValueKind.String:
                _ = element.GetString();
                break;
            default:
                break;
        }
    }
}
