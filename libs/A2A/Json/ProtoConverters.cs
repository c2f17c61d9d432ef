using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RenderTrust.A2A;

/// <summary>Enum names are the type's and the member's in upper snake case: TaskState.Working is TASK_STATE_WORKING.</summary>
internal sealed class ProtoEnumConverter<T> : JsonConverter<T>
    where T : struct, Enum
{
    private static readonly Dictionary<T, string> Names = Enum.GetValues<T>().ToDictionary(
        value => value,
        value => JsonNamingPolicy.SnakeCaseUpper.ConvertName(typeof(T).Name) + "_" + JsonNamingPolicy.SnakeCaseUpper.ConvertName(value.ToString()));

    private static readonly Dictionary<string, T> Values = Names.ToDictionary(pair => pair.Value, pair => pair.Key, StringComparer.Ordinal);

    public override bool HandleNull => true;

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.Null:
                return default;
            case JsonTokenType.Number when reader.TryGetInt32(out var number):
                var value = (T)Enum.ToObject(typeof(T), number);
                return Names.ContainsKey(value) ? value : throw Unknown(number.ToString(CultureInfo.InvariantCulture));
            case JsonTokenType.String when reader.GetString() is { } name:
                return Values.TryGetValue(name, out var named) ? named : throw Unknown($"'{name}'");
            default:
                throw Unknown(reader.TokenType.ToString());
        }
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(Names[value]);

    private static JsonException Unknown(string found) => new($"{found} is not one of {string.Join(", ", Values.Keys)}.");
}

/// <summary>RFC 3339 in UTC with milliseconds and Z out; any RFC 3339 offset in.</summary>
internal sealed class ProtoTimestampConverter : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var text = reader.TokenType is JsonTokenType.String ? reader.GetString()! : reader.TokenType.ToString();

        // TryParse alone would take a time without an offset as local, and more than seven digits of a second are legal in RFC 3339.
        var hasOffset = text.Length > 19 && (text[^1] is 'Z' or 'z' || text[^6] is '+' or '-');
        return hasOffset && DateTimeOffset.TryParse(Shortened(text), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var value)
            ? value.ToUniversalTime()
            : throw new JsonException($"'{text}' is not an RFC 3339 timestamp; write it like 2026-01-02T03:04:05.678Z.");
    }

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));

    private static string Shortened(string text)
    {
        var point = text.IndexOf('.', StringComparison.Ordinal);
        if (point < 0)
        {
            return text;
        }

        var end = point + 1;
        while (end < text.Length && char.IsAsciiDigit(text[end]))
        {
            end++;
        }

        return end - point <= 8 ? text : string.Concat(text.AsSpan(0, point + 8), text.AsSpan(end));
    }
}

/// <summary>Standard base64 out; standard or URL-safe, padded or not, in.</summary>
internal sealed class ProtoBytesConverter : JsonConverter<byte[]>
{
    public override byte[] Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is not JsonTokenType.String)
        {
            throw new JsonException($"Bytes are written as a base64 string, not as {reader.TokenType}.");
        }

        if (reader.TryGetBytesFromBase64(out var bytes))
        {
            return bytes;
        }

        var text = reader.GetString()!.Replace('-', '+').Replace('_', '/').TrimEnd('=');
        try
        {
            return Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='));
        }
        catch (FormatException)
        {
            throw new JsonException("The string is not base64.");
        }
    }

    public override void Write(Utf8JsonWriter writer, byte[] value, JsonSerializerOptions options) => writer.WriteBase64StringValue(value);
}
