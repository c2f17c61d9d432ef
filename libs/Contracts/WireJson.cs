using System.Text.Json;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>The one set of JSON rules between our parts: camelCase, enums by name, unknown members refused where said.</summary>
public static class WireJson
{
    /// <summary>Reads liberally: unknown members are ignored, so that services may be updated one by one.</summary>
    public static JsonSerializerOptions Options { get; } = Make(JsonUnmappedMemberHandling.Skip);

    /// <summary>Refuses unknown members: for what creators write by hand, where a typo must not pass silently.</summary>
    public static JsonSerializerOptions Strict { get; } = Make(JsonUnmappedMemberHandling.Disallow);

    private static JsonSerializerOptions Make(JsonUnmappedMemberHandling unmapped)
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            UnmappedMemberHandling = unmapped,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
            RespectRequiredConstructorParameters = true,
            RespectNullableAnnotations = true,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
        };
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }
}
