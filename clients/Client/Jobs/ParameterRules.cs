using System.Text.Json;
using NJsonSchema;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Jobs;

/// <summary>
/// Checks parameters against the module's schemas before they are sealed: afterwards nobody but a node can, and a node's time costs credits.
/// </summary>
internal static class ParameterRules
{
    private const int MaxShown = 5;

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

        var parsed = await JsonSchema.FromJsonAsync(text.GetRawText(), cancellationToken);
        var problems = values
            .SelectMany(value => parsed.Validate(value.Value.GetRawText()).Select(error => $"{value.Name}{error.Path?.TrimStart('#')}: {error.Kind}"))
            .Take(MaxShown)
            .ToList();
        if (problems.Count > 0)
        {
            throw Invalid($"{module.Reference} refuses {string.Join("; ", problems)}. Its schema says what it takes: rendertrust module show {module.Reference}");
        }
    }

    private static RenderTrustException Invalid(string problem) => new(RenderTrustError.InvalidDraft, $"The job was not sent: {problem}.");
}
