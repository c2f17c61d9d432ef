namespace RenderTrust.Sidecar.Secrets;

/// <summary>A secret is a small map: most have one entry named like the secret.</summary>
internal interface ISecretStore
{
    /// <summary>Null when it is not there.</summary>
    IReadOnlyDictionary<string, string>? Get(string name);

    /// <summary>Whether an app that asks for a secret that is not there gets an empty one, and no refusal.</summary>
    bool MissingIsEmpty => false;

    IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> GetAll();
}
