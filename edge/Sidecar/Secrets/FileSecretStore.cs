using System.Text.Json;

namespace RenderTrust.Sidecar.Secrets;

/// <summary>secretstores.local.file: a JSON file; nested objects become <c>a:b:c</c>, or with multiValued maps of one level.</summary>
internal sealed class FileSecretStore : ISecretStore
{
    private readonly Dictionary<string, IReadOnlyDictionary<string, string>> secrets = [];

    public FileSecretStore(byte[] json, string separator, bool multiValued)
    {
        using var document = JsonDocument.Parse(json);
        foreach (var entry in document.RootElement.EnumerateObject())
        {
            if (multiValued && entry.Value.ValueKind == JsonValueKind.Object)
            {
                var values = new Dictionary<string, string>();
                foreach (var inner in entry.Value.EnumerateObject())
                {
                    Flatten(inner.Name, inner.Value, separator, values);
                }

                secrets[entry.Name] = values;
                continue;
            }

            var flat = new Dictionary<string, string>();
            Flatten(entry.Name, entry.Value, separator, flat);
            foreach (var (name, value) in flat)
            {
                secrets[name] = new Dictionary<string, string> { [name] = value };
            }
        }
    }

    public IReadOnlyDictionary<string, string>? Get(string name) => secrets.GetValueOrDefault(name);

    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> GetAll() => secrets;

    private static void Flatten(string name, JsonElement value, string separator, Dictionary<string, string> into)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var inner in value.EnumerateObject())
                {
                    Flatten(name + separator + inner.Name, inner.Value, separator, into);
                }

                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var inner in value.EnumerateArray())
                {
                    Flatten($"{name}{separator}{index++}", inner, separator, into);
                }

                break;
            default:
                into[name] = value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
                break;
        }
    }
}
