namespace RenderTrust.Ledger;

/// <summary>Outcomes of the SQL functions are camelCase names of the contract's enums.</summary>
internal static class SqlNames
{
    public static TEnum Read<TEnum>(string name)
        where TEnum : struct, Enum =>
        Enum.TryParse<TEnum>(name, ignoreCase: true, out var value)
            ? value
            : throw new InvalidOperationException($"The database answered '{name}', which is no {typeof(TEnum).Name}. Its functions are of another version than this process.");
}
