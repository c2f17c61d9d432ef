using System.Text.Json;
using System.Text.Json.Serialization;

namespace RenderTrust.ServiceDefaults;

/// <summary>Refuses a text with U+0000 where it comes in: Postgres stores none, and there it would look like our own fault.</summary>
internal sealed class StorableText : JsonConverter<string>
{
    public override string? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is not JsonTokenType.String)
        {
            throw new JsonException($"The value is a JSON {reader.TokenType} where a text belongs.");
        }

        var text = reader.GetString();
        return text is not null && text.Contains('\0', StringComparison.Ordinal)
            ? throw new JsonException("The text holds the character U+0000, which cannot be stored. Leave it out.")
            : text;
    }

    public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) => writer.WriteStringValue(value);
}
