using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

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
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { LetNullableBeAbsent } },
        };
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }

    // Nulls are not written, so a nullable parameter without a default must not be asked for: what one part writes, the other has to read.
    private static void LetNullableBeAbsent(JsonTypeInfo type)
    {
        foreach (var property in type.Properties)
        {
            if (property is { IsRequired: true, AssociatedParameter.IsNullable: true })
            {
                property.IsRequired = false;
            }
        }
    }
}
