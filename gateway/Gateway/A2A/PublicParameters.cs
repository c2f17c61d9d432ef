using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
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
    private const int MostDecimals = 16_000;

    // Versions are immutable, so a schema once read stays right.
    private readonly ConcurrentDictionary<string, JsonSchema> _schemas = new(StringComparer.Ordinal);

    public async Task<IReadOnlyList<FieldViolation>> CheckAsync(ModuleVersion module, JsonElement? parameters, string path, CancellationToken cancellationToken)
    {
        if (parameters is { ValueKind: not (JsonValueKind.Object or JsonValueKind.Null) })
        {
            return [new(path, "must be an object.")];
        }

        var given = parameters is { ValueKind: JsonValueKind.Object } value ? value : JsonSerializer.SerializeToElement(new object());
        if (!IsStorable(given))
        {
            return [new(path, "holds a text with U+0000 or half a surrogate pair, or a number beyond all reason, which cannot be stored.")];
        }

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
        if (unlisted.Count > 0)
        {
            return unlisted;
        }

        try
        {
            return [.. schema.Validate(given.GetRawText()).SelectMany(Leaves).Select(error => Violation(path, error))];
        }
        catch (RegexMatchTimeoutException)
        {
            // The pattern is the developer's, the value the creator's: together they must not hold a thread.
            return [new(path, $"takes too long to check against a pattern of {module.Reference}. Send a shorter value; the module's developer should publish a simpler pattern.")];
        }
    }

    private static bool IsStorable(JsonElement value)
    {
        try
        {
            return HasOnlyStorable(value);
        }
        catch (InvalidOperationException)
        {
            // The reader's way to say that a text is no Unicode.
            return false;
        }
    }

    private static bool HasOnlyStorable(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => !value.GetString()!.Contains('\0', StringComparison.Ordinal),
        JsonValueKind.Number => value.TryGetDouble(out var number) && double.IsFinite(number) && HasStorableScale(value.GetRawText()),
        JsonValueKind.Array => value.EnumerateArray().All(HasOnlyStorable),
        JsonValueKind.Object => value.EnumerateObject().All(member => !member.Name.Contains('\0', StringComparison.Ordinal) && HasOnlyStorable(member.Value)),
        _ => true,
    };

    /// <summary>
    /// The database keeps at most 16,383 digits after the point. Digits as written, zeros too: 0e-20000 is refused there as well.
    /// What is too long before the point is no finite double.
    /// </summary>
    private static bool HasStorableScale(string number)
    {
        var e = number.AsSpan().IndexOfAny('e', 'E');
        var mantissa = e < 0 ? number : number[..e];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var decimals = point < 0 ? 0 : mantissa.Length - point - 1;
        var exponent = 0;
        return (e < 0 || int.TryParse(number.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent))
            && Math.Abs((long)exponent) <= MostDecimals && decimals - (long)exponent <= MostDecimals;
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
