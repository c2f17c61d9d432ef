using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>An organisation, or the one-person organisation of a creator: the unit of ownership and of billing.</summary>
[JsonConverter(typeof(GuidIdConverter<TenantId>))]
public readonly record struct TenantId(Guid Value) : IGuidId<TenantId>
{
    public static TenantId Create(Guid value) => new(value);

    public static TenantId New() => new(Guid.CreateVersion7());

    // Declared here and not inherited: minimal APIs only find a public static TryParse on the type itself.
    public static bool TryParse([NotNullWhen(true)] string? text, IFormatProvider? provider, out TenantId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new TenantId(value);
        return parsed;
    }

    public override string ToString() => Value.ToString("D");
}
