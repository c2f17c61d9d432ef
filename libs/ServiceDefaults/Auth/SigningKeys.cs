using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;

namespace RenderTrust.ServiceDefaults;

/// <summary>Identity's signing keys by key id: cached, fetched again when old or when an unknown key id appears.</summary>
internal sealed partial class SigningKeys(IIdentityFacts facts, IOptions<TrustOptions> options, TimeProvider time, ILogger<SigningKeys> logger) : IDisposable
{
    private readonly SemaphoreSlim refreshing = new(1, 1);
    private volatile Known known = new(FrozenDictionary<string, SecurityKey>.Empty, null);

    /// <summary>Null when identity has no such key.</summary>
    public async ValueTask<SecurityKey?> FindAsync(string keyId, CancellationToken cancellationToken)
    {
        var now = known;
        if (IsEnough(now, keyId))
        {
            return now.Keys.GetValueOrDefault(keyId);
        }

        await refreshing.WaitAsync(cancellationToken);
        try
        {
            // Another caller may have fetched while this one waited.
            if (!IsEnough(known, keyId))
            {
                known = await FetchAsync(cancellationToken);
            }

            return known.Keys.GetValueOrDefault(keyId);
        }
        finally
        {
            refreshing.Release();
        }
    }

    public void Dispose() => refreshing.Dispose();

    private bool IsEnough(Known snapshot, string keyId)
    {
        if (snapshot.FetchedAt is not { } fetched)
        {
            return false;
        }

        var age = time.GetElapsedTime(fetched);
        return age < TimeSpan.FromSeconds(options.Value.SigningKeyMaxAgeSeconds)
            && (snapshot.Keys.ContainsKey(keyId) || age < TimeSpan.FromSeconds(options.Value.UnknownKeyRetrySeconds));
    }

    private async Task<Known> FetchAsync(CancellationToken cancellationToken)
    {
        try
        {
            var set = new JsonWebKeySet(await facts.GetSigningKeysAsync(cancellationToken));
            var keys = set.Keys.Where(key => key is { Kty: "EC", Crv: "P-256" } && !string.IsNullOrEmpty(key.Kid)).ToFrozenDictionary(key => key.Kid, key => (SecurityKey)key, StringComparer.Ordinal);
            LogFetched(logger, keys.Count);
            return new Known(keys, time.GetTimestamp());
        }
        catch (Exception exception) when (exception is UnknownOutcomeException or AppUnavailableException or AppCallException)
        {
            throw new IdentityUnavailableException("The signing keys of identity cannot be fetched, so no access token can be checked. Check that identity runs.", exception);
        }
    }

    private sealed record Known(FrozenDictionary<string, SecurityKey> Keys, long? FetchedAt);

    [LoggerMessage(LogLevel.Information, "Fetched {Count} signing keys of identity")]
    private static partial void LogFetched(ILogger logger, int count);
}
