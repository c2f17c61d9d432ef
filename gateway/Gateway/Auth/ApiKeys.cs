using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Auth;

/// <summary>Turns an API key into the internal token that identity gives for it. Answers are believed for a few seconds.</summary>
internal sealed class ApiKeys(AppInvoker apps, IOptions<EdgeAuthOptions> options, TimeProvider time)
{
    public const string Prefix = "rtk_";

    private readonly SecretCache<string?> _answers = new(time);

    /// <summary>Null: not a key, expired or revoked.</summary>
    public async Task<string?> FindTokenAsync(string apiKey, CancellationToken cancellationToken)
    {
        if (_answers.TryGet(apiKey, out var known))
        {
            return known;
        }

        var answer = await apps.PostAsync<IntrospectApiKeyRequest, IntrospectApiKeyResponse>(
            Apps.Identity, "/internal/api-keys/introspections", new IntrospectApiKeyRequest(apiKey), cancellationToken);
        var token = answer.Active ? answer.AccessToken : null;
        _answers.Set(apiKey, token, TimeSpan.FromSeconds(options.Value.ApiKeyCacheSeconds));
        return token;
    }
}
