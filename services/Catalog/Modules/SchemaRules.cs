using System.Text.Json;
using System.Text.RegularExpressions;
using NJsonSchema;
using NJsonSchema.References;

namespace RenderTrust.Catalog;

/// <summary>
/// Whether a schema can be relied on. The library is lenient and fetches what a reference names, so what it would let pass
/// or go out for is refused before it looks.
/// </summary>
internal static class SchemaRules
{
    private const int MaxCharacters = 64 * 1024;
    private const int MaxDepth = 32;
    private const int MaxSteps = 500;
    private static readonly string[] Types = ["array", "boolean", "integer", "null", "number", "object", "string"];

    /// <summary>Null = good, else cause and remedy.</summary>
    public static async Task<string?> RefuseAsync(string name, JsonElement? schema, CancellationToken cancellationToken)
    {
        if (schema is not { ValueKind: not JsonValueKind.Null } given)
        {
            return null;
        }

        var text = given.GetRawText();
        if (text.Length > MaxCharacters)
        {
            return $"{name} has {text.Length} characters (limit {MaxCharacters}).";
        }

        if (given.ValueKind != JsonValueKind.Object || !given.TryGetProperty("type", out var type) || type.ValueKind != JsonValueKind.String || type.GetString() != "object")
        {
            return $"{name} must be a JSON Schema with \"type\": \"object\": parameters are named.";
        }

        if (Refuse(given, "$", 0) is { } refusal)
        {
            return $"{name} is no JSON Schema that can be relied on: {refusal}";
        }

        try
        {
            var parsed = await JsonSchema.FromJsonAsync(text, null, InnerReferences.Of, cancellationToken);
            if (RefuseSteps(parsed) is { } endless)
            {
                return $"{name} is no JSON Schema that can be relied on: {endless}";
            }

            // Resolves every reference and compiles what a check needs: what fails here would fail each creator.
            parsed.Validate("{}");
            return null;
        }
        catch (Exception exception) when (exception is Newtonsoft.Json.JsonException or InvalidOperationException or ArgumentException or NotSupportedException)
        {
            return $"{name} is no JSON Schema: {exception.GetBaseException().Message}";
        }
    }

    /// <summary>
    /// A check that never ends would end whoever makes it: the library recurses without bound, and an overflow of the stack takes the process with it.
    /// Looks at what the library has read, since it knows more spellings of a reference than the standard has.
    /// </summary>
    private static string? RefuseSteps(JsonSchema root)
    {
        var steps = new Dictionary<JsonSchema, int>(ReferenceEqualityComparer.Instance);
        var seen = new HashSet<JsonSchema>(ReferenceEqualityComparer.Instance);
        var waiting = new Stack<JsonSchema>([root]);
        while (waiting.TryPop(out var schema))
        {
            if (!seen.Add(schema))
            {
                continue;
            }

            if (CountSteps(schema, steps) > MaxSteps)
            {
                return $"to check one value against it takes over {MaxSteps} steps, or never ends because it contains itself through $ref, allOf, anyOf, oneOf or not. Write it flatter.";
            }

            foreach (var inner in Applied(schema).Concat(Inside(schema)))
            {
                waiting.Push(inner);
            }
        }

        return null;
    }

    /// <summary>How many schemas are looked at for one value; over the limit while the schema is still being counted, so that a circle is.</summary>
    private static int CountSteps(JsonSchema schema, Dictionary<JsonSchema, int> steps)
    {
        if (steps.TryGetValue(schema, out var known))
        {
            return known;
        }

        steps[schema] = MaxSteps + 1;
        var sum = 1;
        foreach (var inner in Applied(schema))
        {
            sum = Math.Min(MaxSteps + 1, sum + CountSteps(inner, steps));
        }

        return steps[schema] = sum;
    }

    /// <summary>Those that judge the same value.</summary>
    private static IEnumerable<JsonSchema> Applied(JsonSchema schema) =>
        new[] { schema.Reference, schema.Not }.OfType<JsonSchema>().Concat(schema.AllOf).Concat(schema.AnyOf).Concat(schema.OneOf);

    /// <summary>Those that judge a part of the value, so that the value's depth bounds them.</summary>
    private static IEnumerable<JsonSchema> Inside(JsonSchema schema) =>
        new[] { schema.Item, schema.AdditionalItemsSchema, schema.AdditionalPropertiesSchema, schema.DictionaryKey }.OfType<JsonSchema>()
            .Concat(schema.Items).Concat(schema.Properties.Values).Concat(schema.PatternProperties.Values).Concat(schema.Definitions.Values);

    private static string? Refuse(JsonElement schema, string path, int depth)
    {
        if (depth > MaxDepth)
        {
            return $"{path} is nested deeper than {MaxDepth}.";
        }

        if (schema.ValueKind == JsonValueKind.Array)
        {
            return schema.EnumerateArray().Select((item, index) => Refuse(item, $"{path}[{index}]", depth + 1)).FirstOrDefault(refusal => refusal is not null);
        }

        if (schema.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        foreach (var member in schema.EnumerateObject().Where(member => MayHoldSchemas(member, path)))
        {
            var refusal = RefuseMember(member, path) ?? Refuse(member.Value, $"{path}.{member.Name}", depth + 1);
            if (refusal is not null)
            {
                return refusal;
            }
        }

        return null;
    }

    /// <summary>Below these keywords are values that may say what they like, unless a parameter is called so.</summary>
    private static bool MayHoldSchemas(JsonProperty member, string path) =>
        member.Name is not ("default" or "const" or "enum" or "examples")
        || (member.Value.ValueKind == JsonValueKind.Object && path.EndsWith(".properties", StringComparison.Ordinal));

    private static string? RefuseMember(JsonProperty member, string path)
    {
        // A member of "properties" that happens to be called type or pattern is a schema, and so an object, not a keyword.
        switch (member.Name)
        {
            case "$ref" when member.Value.ValueKind == JsonValueKind.String && !member.Value.GetString()!.StartsWith('#'):
                return $"{path}.$ref points to '{member.Value.GetString()}'. Only references within the schema (#/...) are followed.";
            case "type" when member.Value.ValueKind == JsonValueKind.String && !Types.Contains(member.Value.GetString(), StringComparer.Ordinal):
                return $"{path}.type is '{member.Value.GetString()}'. Known are: {string.Join(", ", Types)}.";
            case "type" when member.Value.ValueKind is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False:
                return $"{path}.type must be a name or a list of names.";
            case "properties" or "patternProperties" or "$defs" or "definitions" when member.Value.ValueKind != JsonValueKind.Object:
                return $"{path}.{member.Name} must be an object.";
            case "required" when member.Value.ValueKind is not (JsonValueKind.Array or JsonValueKind.Object):
                return $"{path}.required must be a list of names.";
            case "pattern" when member.Value.ValueKind == JsonValueKind.String && !IsPattern(member.Value.GetString()!):
                return $"{path}.pattern '{member.Value.GetString()}' is no regular expression.";
            default:
                return null;
        }
    }

    private static bool IsPattern(string pattern)
    {
        try
        {
            _ = new Regex(pattern, RegexOptions.ECMAScript, TimeSpan.FromSeconds(1));
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Follows references within the schema and fetches nothing, however the reference is spelled and wherever it stands.</summary>
    private sealed class InnerReferences(JsonSchemaAppender appender) : JsonReferenceResolver(appender)
    {
        public static InnerReferences Of(JsonSchema schema) => new(new JsonSchemaAppender(schema, new DefaultTypeNameGenerator()));

        public override Task<IJsonReference> ResolveFileReferenceAsync(string filePath, CancellationToken cancellationToken = default) => throw Refusal(filePath);

        public override Task<IJsonReference> ResolveUrlReferenceAsync(string url, CancellationToken cancellationToken = default) => throw Refusal(url);

        private static NotSupportedException Refusal(string target) => new($"$ref points to '{target}'. Only references within the schema (#/...) are followed.");
    }
}
