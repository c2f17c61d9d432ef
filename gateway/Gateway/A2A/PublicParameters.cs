using System.Collections.Concurrent;
using System.Text.Json;
using NJsonSchema;
using NJsonSchema.Validation;
using RenderTrust.A2A;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.A2A;

/// <summary>
/// Checks the few parameters that a module lets the platform see. What its public schema does not list is refused even if the schema would let it pass:
/// a parameter that is not marked public is sealed.
/// </summary>
internal sealed class PublicParameters
{
    // Versions are immutable, so a schema once read stays right.
    private readonly ConcurrentDictionary<string, JsonSchema> _schemas = new(StringComparer.Ordinal);

    public async Task<IReadOnlyList<FieldViolation>> CheckAsync(ModuleVersion module, JsonElement? parameters, string path, CancellationToken cancellationToken)
    {
        if (parameters is { ValueKind: not (JsonValueKind.Object or JsonValueKind.Null) })
        {
            return [new(path, "must be an object.")];
        }

        var given = parameters is { ValueKind: JsonValueKind.Object } value ? value : JsonSerializer.SerializeToElement(new object());
        if (module.PublicParametersSchema is not { } schemaJson)
        {
            return [.. given.EnumerateObject().Select(member => Sealed(path, member.Name, module))];
        }

        if (!_schemas.TryGetValue(module.Reference, out var schema))
        {
            schema = await JsonSchema.FromJsonAsync(schemaJson.GetRawText(), cancellationToken);
            _schemas[module.Reference] = schema;
        }

        var unlisted = given.EnumerateObject().Where(member => !schema.ActualProperties.ContainsKey(member.Name)).Select(member => Sealed(path, member.Name, module)).ToList();
        return unlisted.Count > 0 ? unlisted : [.. schema.Validate(given.GetRawText()).SelectMany(Leaves).Select(error => Violation(path, error))];
    }

    private static FieldViolation Sealed(string path, string name, ModuleVersion module) =>
        new($"{path}.{name}", $"is not a public parameter of {module.Reference}. Put it into the sealed manifest.");

    private static IEnumerable<ValidationError> Leaves(ValidationError error) =>
        error is ChildSchemaValidationError parent ? parent.Errors.Values.SelectMany(errors => errors).SelectMany(Leaves) : [error];

    private static FieldViolation Violation(string path, ValidationError error)
    {
        var inside = (error.Path ?? "").TrimStart('#').TrimStart('/').Replace('/', '.');
        return new(inside.Length == 0 ? path : $"{path}.{inside}", $"breaks the module's schema: {error.Kind}.");
    }
}
