using System.Text.Json;
using System.Text.Json.Nodes;

namespace RenderTrust.A2A;

public enum Role
{
    Unspecified = 0,
    User = 1,
    Agent = 2,
}

public sealed record Message
{
    public string MessageId { get; init; } = "";
    public string? ContextId { get; init; }
    public string? TaskId { get; init; }
    public Role Role { get; init; }
    public IReadOnlyList<Part> Parts { get; init; } = [];
    public JsonObject? Metadata { get; init; }
    public IReadOnlyList<string>? Extensions { get; init; }
    public IReadOnlyList<string>? ReferenceTaskIds { get; init; }
}

/// <summary>Exactly one of <see cref="Text"/>, <see cref="Raw"/>, <see cref="Url"/> and <see cref="Data"/> is set.</summary>
public sealed record Part
{
    public string? Text { get; init; }
    public byte[]? Raw { get; init; }
    public string? Url { get; init; }

    /// <summary>Any JSON value, null included; unset is <see cref="JsonValueKind.Undefined"/>.</summary>
    public JsonElement Data { get; init; }
    public JsonObject? Metadata { get; init; }
    public string? Filename { get; init; }
    public string? MediaType { get; init; }

    public static Part FromText(string text) => new() { Text = text };

    public static Part FromData<T>(T value, string? mediaType = null, JsonSerializerOptions? options = null) =>
        new() { Data = JsonSerializer.SerializeToElement(value, options ?? A2AJson.Options), MediaType = mediaType };

    public static Part FromRaw(byte[] bytes, string mediaType, string? filename = null) =>
        new() { Raw = bytes, MediaType = mediaType, Filename = filename };

    internal int ContentCount =>
        (Text is null ? 0 : 1) + (Raw is null ? 0 : 1) + (Url is null ? 0 : 1) + (Data.ValueKind is JsonValueKind.Undefined ? 0 : 1);
}
