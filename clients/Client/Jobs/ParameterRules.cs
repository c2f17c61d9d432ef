using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using NJsonSchema;
using NJsonSchema.References;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Jobs;

/// <summary>
/// Checks parameters against the module's schemas before they are sealed: afterwards nobody but a node can, and a node's time costs credits.
/// </summary>
internal static class ParameterRules
{
    private const int MaxShown = 5;
    private static readonly TimeSpan PatternLimit = TimeSpan.FromSeconds(2);

    public static async Task CheckAsync(JobDraft draft, ModuleVersion module, CancellationToken cancellationToken)
    {
        await CheckAsync(module.ParametersSchema, [("parameters", draft.Parameters)], module, cancellationToken);
        await CheckAsync(
            module.UnitParametersSchema, [.. draft.Units.Select((unit, index) => ($"units[{index}]", unit))], module, cancellationToken);
        if (draft.PublicParameters is { } published)
        {
            if (module.PublicParametersSchema is null)
            {
                throw Invalid($"{module.Reference} has no public parameters, so these would show the platform what should be sealed: move them to 'parameters'");
            }

            await CheckAsync(module.PublicParametersSchema, [("publicParameters", published)], module, cancellationToken);
        }
    }

    private static async Task CheckAsync(
        JsonElement? schema, IReadOnlyList<(string Name, JsonElement Value)> values, ModuleVersion module, CancellationToken cancellationToken)
    {
        if (values.FirstOrDefault(value => value.Value.ValueKind != JsonValueKind.Object) is { Name: not null } odd)
        {
            throw Invalid($"{odd.Name} must be a JSON object and is {odd.Value.ValueKind}");
        }

        if (schema is not { ValueKind: JsonValueKind.Object } text)
        {
            return;
        }

        List<string> problems;
        try
        {
            RequireQuickPatterns(text, [.. values.SelectMany(value => Strings(value.Value)).Distinct(StringComparer.Ordinal)]);
            var parsed = await JsonSchema.FromJsonAsync(text.GetRawText(), null, InnerReferences.Of, cancellationToken);
            problems = [.. values
                .SelectMany(value => parsed.Validate(value.Value.GetRawText()).Select(error => $"{value.Name}{error.Path?.TrimStart('#')}: {error.Kind}"))
                .Take(MaxShown)];
        }
        catch (RegexMatchTimeoutException)
        {
            throw Invalid($"a pattern in the schema of {module.Reference} takes over {PatternLimit.TotalSeconds} s for these parameters. Shorten the texts, or ask the module's developer for a simpler pattern");
        }
        catch (Exception exception) when (exception is Newtonsoft.Json.JsonException or InvalidOperationException or ArgumentException or NotSupportedException)
        {
            throw Invalid($"the schema that the platform gives for {module.Reference} cannot be relied on: {exception.GetBaseException().Message} Use another version, or tell the module's developer");
        }

        if (problems.Count > 0)
        {
            throw Invalid($"{module.Reference} refuses {string.Join("; ", problems)}. Its schema says what it takes: rendertrust module show {module.Reference}");
        }
    }

    /// <summary>
    /// The library matches without a limit, and a module's developer can write a pattern that takes for ever. So each pattern is tried
    /// on each text first, under a limit for all of them.
    /// </summary>
    private static void RequireQuickPatterns(JsonElement schema, IReadOnlyList<string> texts)
    {
        var watch = Stopwatch.StartNew();
        foreach (var pattern in Patterns(schema).Distinct(StringComparer.Ordinal))
        {
            foreach (var text in texts)
            {
                var left = PatternLimit - watch.Elapsed;
                if (left <= TimeSpan.Zero)
                {
                    throw new RegexMatchTimeoutException(text, pattern, PatternLimit);
                }

                _ = new Regex(pattern, RegexOptions.None, left).IsMatch(text);
            }
        }
    }

    /// <summary>Whatever may be one, under any spelling that the library reads.</summary>
    private static IEnumerable<string> Patterns(JsonElement schema) => schema.ValueKind switch
    {
        JsonValueKind.Array => schema.EnumerateArray().SelectMany(Patterns),
        JsonValueKind.Object => schema.EnumerateObject().SelectMany(member => Patterns(member.Value).Concat(
            member.Name.Equals("pattern", StringComparison.OrdinalIgnoreCase) && member.Value.ValueKind == JsonValueKind.String ? [member.Value.GetString()!]
            : member.Name.Equals("patternProperties", StringComparison.OrdinalIgnoreCase) && member.Value.ValueKind == JsonValueKind.Object ? member.Value.EnumerateObject().Select(inner => inner.Name)
            : [])),
        _ => [],
    };

    /// <summary>Every text in a value, names of members included.</summary>
    private static IEnumerable<string> Strings(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.EnumerateArray().SelectMany(Strings),
        JsonValueKind.Object => value.EnumerateObject().SelectMany(member => Strings(member.Value).Prepend(member.Name)),
        JsonValueKind.String => [value.GetString()!],
        _ => [],
    };

    private static RenderTrustException Invalid(string problem) => new(RenderTrustError.InvalidDraft, $"The job was not sent: {problem}.");

    /// <summary>Follows references within the schema and fetches nothing: where this machine calls is not for a module's developer to say.</summary>
    private sealed class InnerReferences(JsonSchemaAppender appender) : JsonReferenceResolver(appender)
    {
        public static InnerReferences Of(JsonSchema schema) => new(new JsonSchemaAppender(schema, new DefaultTypeNameGenerator()));

        public override Task<IJsonReference> ResolveFileReferenceAsync(string filePath, CancellationToken cancellationToken = default) => throw Refusal(filePath);

        public override Task<IJsonReference> ResolveUrlReferenceAsync(string url, CancellationToken cancellationToken = default) => throw Refusal(url);

        private static NotSupportedException Refusal(string target) => new($"$ref points to '{target}', and only references within the schema (#/...) are followed.");
    }
}
