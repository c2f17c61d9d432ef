using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Auth;

/// <summary>Turns an API key into the internal token that identity gives for it. Answers are believed for a few seconds.</summary>
internal sealed class ApiKeys(AppInvoker apps, IOptions<EdgeAuthOptions> options, TimeProvider time)
{
    public const string Prefix = "rtk_";
    private const int MaxCached = 10_000;

    // Keyed by hash: a memory dump of the cache must not be a list of keys.
    private readonly ConcurrentDictionary<string, Answer> _answers = new(StringComparer.Ordinal);

    /// <summary>Null: not a key, expired or revoked.</summary>
    public async Task<string?> FindTokenAsync(string apiKey, CancellationToken cancellationToken)
    {
        var hash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(apiKey)));
        var now = time.GetUtcNow();
        if (_answers.TryGetValue(hash, out var known) && known.Until > now)
        {
            return known.AccessToken;
        }

        var answer = await apps.PostAsync<IntrospectApiKeyRequest, IntrospectApiKeyResponse>(
            Apps.Identity, "/internal/api-keys/introspections", new IntrospectApiKeyRequest(apiKey), cancellationToken);
        if (_answers.Count >= MaxCached)
        {
            // Only someone who tries keys gets here; starting over costs honest callers one look-up each.
            _answers.Clear();
        }

        var token = answer.Active ? answer.AccessToken : null;
        _answers[hash] = new Answer(token, now.AddSeconds(options.Value.ApiKeyCacheSeconds));
        return token;
    }

    private sealed record Answer(string? AccessToken, DateTimeOffset Until);
}
