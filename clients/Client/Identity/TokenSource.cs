using System.Buffers.Text;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using RenderTrust.Client.Http;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Identity;

/// <summary>Gets access tokens by signed assertion (RFC 7523), bound to the device key, and renews them before they end.</summary>
internal sealed class TokenSource(
    HttpClient anonymous, DeviceKey key, DeviceId deviceId, IReadOnlyList<string>? scopes, DpopProofs proofs, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan AssertionLife = TimeSpan.FromMinutes(4);

    private readonly SemaphoreSlim _turn = new(1);
    private volatile Held? _held;

    public async Task<string> GetAsync(CancellationToken cancellationToken)
    {
        if (_held is { } held && time.GetUtcNow() < held.RenewAt)
        {
            return held.Token;
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_held is { } renewed && time.GetUtcNow() < renewed.RenewAt)
            {
                return renewed.Token;
            }

            var asked = time.GetUtcNow();
            var answer = await AskAsync(cancellationToken);
            // Renewed after four fifths of its life: a long upload should not meet the end of its token.
            _held = new Held(answer.AccessToken, asked.AddSeconds(answer.ExpiresInSeconds * 0.8));
            return answer.AccessToken;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>False if another request has renewed the token already or none was held.</summary>
    public bool Forget(string token)
    {
        var held = _held;
        if (held is null || held.Token != token)
        {
            return held is not null;
        }

        Interlocked.CompareExchange(ref _held, null, held);
        return true;
    }

    public void Dispose() => _turn.Dispose();

    private async Task<TokenResponse> AskAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(anonymous.BaseAddress!, "/v1/identity/token"));
            request.Headers.Add("DPoP", proofs.Make(request.Method, request.RequestUri!, accessToken: null));
            var form = new Dictionary<string, string>
            {
                ["grant_type"] = "urn:ietf:params:oauth:grant-type:jwt-bearer",
                ["assertion"] = Assertion(),
            };
            if (scopes is { Count: > 0 })
            {
                form["scope"] = string.Join(' ', scopes);
            }

            request.Content = new FormUrlEncodedContent(form);
            using var response = await anonymous.AskAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken);
            if (proofs.Learn(response) && attempt == 0)
            {
                continue;
            }

            await response.RequireSuccessAsync(cancellationToken);
            return await response.Content.ReadFromJsonAsync<TokenResponse>(WireJson.Options, cancellationToken)
                ?? throw new RenderTrustException(RenderTrustError.ServerFault, "The token endpoint answered null.");
        }
    }

    private string Assertion()
    {
        var now = time.GetUtcNow();
        return key.SignJwt(
            "JWT",
            new JsonObject
            {
                ["iss"] = deviceId.ToString(),
                ["sub"] = deviceId.ToString(),
                ["aud"] = "rendertrust:token",
                ["jti"] = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16)),
                ["iat"] = now.ToUnixTimeSeconds(),
                ["exp"] = now.Add(AssertionLife).ToUnixTimeSeconds(),
            },
            withJwk: false);
    }

    private sealed record Held(string Token, DateTimeOffset RenewAt);
}
