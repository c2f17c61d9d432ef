using System.Text.Json;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>For events: a name that this version does not know becomes the enum's first member, <c>Unknown</c>, instead of stopping the reader.</summary>
public sealed class UnknownEnumConverter<T> : JsonConverter<T>
    where T : struct, Enum
{
    private static readonly Dictionary<T, string> Names = Enum.GetValues<T>().ToDictionary(value => value, value => JsonNamingPolicy.CamelCase.ConvertName(value.ToString()));
    private static readonly Dictionary<string, T> Values = Names.ToDictionary(pair => pair.Value, pair => pair.Key, StringComparer.OrdinalIgnoreCase);

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType is JsonTokenType.String && Values.TryGetValue(reader.GetString()!, out var value)
            ? value
            : reader.TokenType is JsonTokenType.String ? default : throw new JsonException($"A {typeof(T).Name} is written by its name.");

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        (writer ?? throw new ArgumentNullException(nameof(writer))).WriteStringValue(Names[value]);
}
