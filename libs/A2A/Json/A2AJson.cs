using System.Collections;
using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace RenderTrust.A2A;

/// <summary>
/// The protocol's JSON rules (ProtoJSON): camelCase out, camelCase and snake_case in, enums by proto name out and by name or number in,
/// no nulls and no empty optional lists out, null read as unset, unknown members ignored on input.
/// </summary>
public static class A2AJson
{
    public static JsonSerializerOptions Options { get; } = Create();

    private static JsonSerializerOptions Create()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.General)
        {
            PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
            NumberHandling = JsonNumberHandling.AllowReadingFromString,

            // Answers are application/json, never embedded in HTML; base64 would otherwise have its '+' escaped.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { ApplyProtoJson } },
            Converters =
            {
                new ProtoEnumConverter<TaskState>(),
                new ProtoEnumConverter<Role>(),
                new ProtoTimestampConverter(),
                new ProtoBytesConverter(),
            },
        };
        options.MakeReadOnly();
        return options;
    }

    private static void ApplyProtoJson(JsonTypeInfo type)
    {
        if (type.Kind is not JsonTypeInfoKind.Object || type.Type.Assembly != typeof(A2AJson).Assembly)
        {
            return;
        }

        var nullability = new NullabilityInfoContext();
        foreach (var property in type.Properties.ToArray())
        {
            var isRequired = property.AttributeProvider is PropertyInfo declared && nullability.Create(declared).ReadState is NullabilityState.NotNull;
            if (property.PropertyType == typeof(JsonElement))
            {
                property.ShouldSerialize = (_, value) => value is JsonElement { ValueKind: not JsonValueKind.Undefined };
            }
            else if (!isRequired && typeof(IEnumerable).IsAssignableFrom(property.PropertyType)
                && property.PropertyType != typeof(string) && property.PropertyType != typeof(byte[])
                && property.PropertyType != typeof(System.Text.Json.Nodes.JsonObject))
            {
                property.ShouldSerialize = (_, value) => value is IEnumerable items && items.GetEnumerator().MoveNext();
            }

            if (property.Set is { } set)
            {
                Action<object, object?> setUnlessNull = (target, value) =>
                {
                    if (value is not null)
                    {
                        set(target, value);
                    }
                };
                property.Set = setUnlessNull;
                AddSnakeCaseSpelling(type, property, setUnlessNull);
            }
        }
    }

    private static void AddSnakeCaseSpelling(JsonTypeInfo type, JsonPropertyInfo property, Action<object, object?> set)
    {
        var snakeName = JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name);
        if (snakeName != property.Name)
        {
            var alias = type.CreateJsonPropertyInfo(property.PropertyType, snakeName);
            alias.Set = set;
            type.Properties.Add(alias);
        }
    }
}
