using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>One enrolled GPU or CPU host of a studio.</summary>
[JsonConverter(typeof(GuidIdConverter<NodeId>))]
public readonly record struct NodeId(Guid Value) : IGuidId<NodeId>
{
    public static NodeId Create(Guid value) => new(value);

    public static NodeId New() => new(Guid.CreateVersion7());

    // Declared here and not inherited: minimal APIs only find a public static TryParse on the type itself.
    public static bool TryParse([NotNullWhen(true)] string? text, IFormatProvider? provider, out NodeId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new NodeId(value);
        return parsed;
    }

    public override string ToString() => Value.ToString("D");
}
