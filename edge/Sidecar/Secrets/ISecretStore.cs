namespace RenderTrust.Sidecar.Secrets;

/// <summary>A secret is a small map: most have one entry named like the secret.</summary>
internal interface ISecretStore
{
    IReadOnlyDictionary<string, string>? Get(string name);

    IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> GetAll();
}
