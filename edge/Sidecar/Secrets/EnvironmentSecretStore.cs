using System.Collections;

namespace RenderTrust.Sidecar.Secrets;

/// <summary>secretstores.local.env: the host's environment, except what belongs to Dapr itself.</summary>
internal sealed class EnvironmentSecretStore(string prefix, IReadOnlyDictionary<string, string> appEnvironment) : ISecretStore
{
    // As with daprd, what is not set reads like what is set to nothing, and what is hidden like what is not set.
    public bool MissingIsEmpty => true;

    public IReadOnlyDictionary<string, string>? Get(string name)
    {
        if (!IsReadable(prefix + name))
        {
            return null;
        }

        var value = appEnvironment.TryGetValue(prefix + name, out var own) ? own : Environment.GetEnvironmentVariable(prefix + name);
        return value is null ? null : new Dictionary<string, string> { [name] = value };
    }

    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> GetAll()
    {
        var all = new Dictionary<string, IReadOnlyDictionary<string, string>>();
        var variables = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Select(entry => (Name: (string)entry.Key, Value: (string?)entry.Value ?? ""))
            .Concat(appEnvironment.Select(entry => (Name: entry.Key, entry.Value)));
        foreach (var (variable, value) in variables)
        {
            if (variable.Length > prefix.Length && variable.StartsWith(prefix, StringComparison.Ordinal) && IsReadable(variable))
            {
                var name = variable[prefix.Length..];
                all[name] = new Dictionary<string, string> { [name] = value };
            }
        }

        return all;
    }

    private static bool IsReadable(string variable) =>
        !variable.Equals("APP_API_TOKEN", StringComparison.OrdinalIgnoreCase) && !variable.StartsWith("DAPR_", StringComparison.OrdinalIgnoreCase);
}
