using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>One try of a unit on a node; the holder of a lease.</summary>
[JsonConverter(typeof(GuidIdConverter<AttemptId>))]
public readonly record struct AttemptId(Guid Value) : IGuidId<AttemptId>
{
    public static AttemptId Create(Guid value) => new(value);

    public static AttemptId New() => new(Guid.CreateVersion7());

    // Declared here and not inherited: minimal APIs only find a public static TryParse on the type itself.
    public static bool TryParse([NotNullWhen(true)] string? text, IFormatProvider? provider, out AttemptId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new AttemptId(value);
        return parsed;
    }

    public override string ToString() => Value.ToString("D");
}
