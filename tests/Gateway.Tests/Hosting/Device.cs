using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Tests.Hosting;

/// <summary>A registered device: its key, its token, and the proofs it signs.</summary>
internal sealed class Device(FakeSidecar sidecar)
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TenantId Tenant { get; init; } = TenantId.New();

    public Guid Id { get; } = Guid.CreateVersion7();

    public string Token(TimeSpan? lifetime = null, bool isBound = true, params string[] scopes) => AccessTokens.Create(sidecar.SigningKey, new AccessTokenContent(
        Id, "device", Tenant, scopes.Length == 0 ? Scopes.All : scopes, isBound ? EcKeys.Thumbprint(EcKeys.ToJwk(_key)) : null,
        DateTimeOffset.UtcNow - TimeSpan.FromHours(1), DateTimeOffset.UtcNow + (lifetime ?? TimeSpan.FromHours(1))));

    public string Proof(string method, Uri url, string token, DateTimeOffset? at = null, string? jti = null, string typ = "dpop+jwt")
    {
        var jwk = EcKeys.ToJwk(_key);
        var header = Encode(new { typ, alg = "ES256", jwk = new { kty = jwk.Kty, crv = jwk.Crv, x = jwk.X, y = jwk.Y } });
        var claims = Encode(new { jti = jti ?? Guid.CreateVersion7().ToString(), htm = method, htu = url.GetLeftPart(UriPartial.Path), iat = (at ?? DateTimeOffset.UtcNow).ToUnixTimeSeconds(), ath = DpopProofs.AccessTokenHash(token) });
        var signature = _key.SignData(Encoding.ASCII.GetBytes($"{header}.{claims}"), HashAlgorithmName.SHA256);
        return $"{header}.{claims}.{Base64Url.EncodeToString(signature)}";
    }

    /// <summary>Signs every request of a client, as the real one does.</summary>
    public HttpClient Client(Uri gateway, string? token = null) => new(new Signing(this, token ?? Token())) { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(60) };

    private static string Encode<T>(T value) => Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(value));

    private sealed class Signing(Device device, string token) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.TryAddWithoutValidation("Authorization", "DPoP " + token);
            request.Headers.TryAddWithoutValidation("DPoP", device.Proof(request.Method.Method, request.RequestUri!, token));
            return base.SendAsync(request, cancellationToken);
        }
    }
}
