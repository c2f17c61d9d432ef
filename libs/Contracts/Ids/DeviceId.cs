using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>One registered device of a person, with its own ES256 key.</summary>
[JsonConverter(typeof(GuidIdConverter<DeviceId>))]
public readonly record struct DeviceId(Guid Value) : IGuidId<DeviceId>
{
    public static DeviceId Create(Guid value) => new(value);

    public static DeviceId New() => new(Guid.CreateVersion7());

    // Declared here and not inherited: minimal APIs only find a public static TryParse on the type itself.
    public static bool TryParse([NotNullWhen(true)] string? text, IFormatProvider? provider, out DeviceId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new DeviceId(value);
        return parsed;
    }

    public override string ToString() => Value.ToString("D");
}
