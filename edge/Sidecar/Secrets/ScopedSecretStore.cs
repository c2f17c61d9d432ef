using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Secrets;

/// <summary>A secret store as the app's configuration lets it be read.</summary>
internal sealed class ScopedSecretStore(string name, ISecretStore inner, SecretScope scope) : ISecretStore
{
    public bool MissingIsEmpty => inner.MissingIsEmpty;

    public IReadOnlyDictionary<string, string>? Get(string secret) => scope.Allows(secret)
        ? inner.Get(secret)
        : throw new DaprError(403, StatusCode.PermissionDenied, "ERR_PERMISSION_DENIED", $"access denied by policy to get \"{secret}\" from \"{name}\"");

    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> GetAll() =>
        inner.GetAll().Where(entry => scope.Allows(entry.Key)).ToDictionary(entry => entry.Key, entry => entry.Value, StringComparer.Ordinal);
}
