using System.Buffers.Text;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.Client.Profiles;

namespace RenderTrust.Client.Identity;

/// <summary>Makes DPoP proofs (RFC 9449) and keeps the nonce that the server last asked for.</summary>
internal sealed class DpopProofs(DeviceKey key, TimeProvider time)
{
    private volatile string? _nonce;

    public string Make(HttpMethod method, Uri address, string? accessToken)
    {
        var payload = new JsonObject
        {
            ["jti"] = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16)),
            ["htm"] = method.Method,
            ["htu"] = address.GetLeftPart(UriPartial.Path),
            ["iat"] = time.GetUtcNow().ToUnixTimeSeconds(),
        };
        if (accessToken is not null)
        {
            payload["ath"] = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(accessToken)));
        }

        if (_nonce is { } nonce)
        {
            payload["nonce"] = nonce;
        }

        return key.SignJwt("dpop+jwt", payload, withJwk: true);
    }

    /// <summary>True if the answer brought a nonce that the refused proof did not have: worth one more try.</summary>
    public bool Learn(HttpResponseMessage response)
    {
        if (!response.Headers.TryGetValues("DPoP-Nonce", out var values) || values.FirstOrDefault() is not { Length: > 0 } nonce || nonce == _nonce)
        {
            return false;
        }

        _nonce = nonce;
        return response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.BadRequest;
    }
}

/// <summary>
/// Signs every request in: <c>Authorization: DPoP token</c> and a proof for exactly this method and address. A refused request is sent
/// once more with a new nonce or token; bodies are in memory, so they can be.
/// </summary>
internal sealed class DpopHandler(Uri gateway, TokenSource tokens, DpopProofs proofs, HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (!SameOrigin(request.RequestUri!))
        {
            throw new RenderTrustException(
                RenderTrustError.Untrusted, $"A request to {request.RequestUri} was not sent: tokens only go to {gateway.GetLeftPart(UriPartial.Authority)}.");
        }

        var token = await tokens.GetAsync(cancellationToken);
        var response = await SendAsync(request, token, cancellationToken);
        if (proofs.Learn(response) && response.StatusCode == HttpStatusCode.Unauthorized)
        {
            response.Dispose();
            response = await SendAsync(request, token, cancellationToken);
            proofs.Learn(response);
        }

        // Revoked or restarted keys: a new token settles it, or is refused with the reason.
        if (response.StatusCode == HttpStatusCode.Unauthorized && tokens.Forget(token))
        {
            response.Dispose();
            response = await SendAsync(request, await tokens.GetAsync(cancellationToken), cancellationToken);
            proofs.Learn(response);
        }

        return response;
    }

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, string token, CancellationToken cancellationToken)
    {
        request.Headers.Authorization = new AuthenticationHeaderValue("DPoP", token);
        ClientActivity.AddHeaders(request);
        request.Headers.Remove("DPoP");
        request.Headers.Add("DPoP", proofs.Make(request.Method, request.RequestUri!, token));
        return base.SendAsync(request, cancellationToken);
    }

    private bool SameOrigin(Uri address) => address.GetLeftPart(UriPartial.Authority) == gateway.GetLeftPart(UriPartial.Authority);
}
