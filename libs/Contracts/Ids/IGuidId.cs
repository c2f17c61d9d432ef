using System.Text.Json;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>A typed id over one Guid. Wire form: lower-case 8-4-4-4-12.</summary>
public interface IGuidId<TSelf>
    where TSelf : struct, IGuidId<TSelf>
{
    Guid Value { get; }

    static abstract TSelf Create(Guid value);
}

/// <summary>Reads and writes any typed id as its 36-character text.</summary>
public sealed class GuidIdConverter<TId> : JsonConverter<TId>
    where TId : struct, IGuidId<TId>
{
    public override TId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String && Guid.TryParseExact(reader.GetString(), "D", out var value))
        {
            return TId.Create(value);
        }

        throw new JsonException($"A {typeof(TId).Name} is a UUID in the form 00000000-0000-0000-0000-000000000000.");
    }

    public override void Write(Utf8JsonWriter writer, TId value, JsonSerializerOptions options) =>
        (writer ?? throw new ArgumentNullException(nameof(writer))).WriteStringValue(value.Value.ToString("D"));

    public override TId ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Guid.TryParseExact(reader.GetString(), "D", out var value) ? TId.Create(value) : throw new JsonException($"A {typeof(TId).Name} is a UUID.");

    public override void WriteAsPropertyName(Utf8JsonWriter writer, TId value, JsonSerializerOptions options) =>
        (writer ?? throw new ArgumentNullException(nameof(writer))).WritePropertyName(value.Value.ToString("D"));
}
