using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Identity checks its own tokens with its own tables rather than by asking itself through the sidecar.</summary>
internal sealed class LocalIdentityFacts(PlatformKeys keys, NpgsqlDataSource database, TimeProvider time) : IIdentityFacts
{
    public Task<string> GetSigningKeysAsync(CancellationToken cancellationToken) => Task.FromResult(keys.Jwks);

    public Task<RevocationList> GetRevocationsAsync(CancellationToken cancellationToken) => RevocationLog.ReadAsync(database, time.GetUtcNow(), cancellationToken);
}
