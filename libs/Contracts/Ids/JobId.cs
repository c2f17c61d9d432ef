using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>What a creator submits. Made by the client (UUIDv7), so a retry names the same job.</summary>
[JsonConverter(typeof(GuidIdConverter<JobId>))]
public readonly record struct JobId(Guid Value) : IGuidId<JobId>
{
    public static JobId Create(Guid value) => new(value);

    public static JobId New() => new(Guid.CreateVersion7());

    // Declared here and not inherited: minimal APIs only find a public static TryParse on the type itself.
    public static bool TryParse([NotNullWhen(true)] string? text, IFormatProvider? provider, out JobId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new JobId(value);
        return parsed;
    }

    public override string ToString() => Value.ToString("D");
}
