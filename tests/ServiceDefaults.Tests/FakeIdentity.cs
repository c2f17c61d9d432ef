using System.Security.Cryptography;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults.Tests;

/// <summary>Identity's facts, held in memory, with a count of the questions.</summary>
internal sealed class FakeIdentity : IIdentityFacts, IDisposable
{
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public RevocationList Revocations { get; set; } = new(1, [], [], []);

    public bool Away { get; set; }

    public bool HasNoKeys { get; set; }

    public int KeyQuestions { get; private set; }

    public SecurityKey SigningKey(string kid = "k1") => new ECDsaSecurityKey(key) { KeyId = kid };

    public string Token(Guid? subject = null, TenantId? tenant = null, string scopes = "jobs credits", DateTimeOffset? at = null, string kid = "k1", string? thumbprint = null)
    {
        var now = at ?? DateTimeOffset.UtcNow;
        return AccessTokens.Create(SigningKey(kid), new AccessTokenContent(
            subject ?? Guid.CreateVersion7(), "device", tenant ?? TenantId.New(), scopes.Split(' '), thumbprint, now, now.AddHours(24)));
    }

    public Task<string> GetSigningKeysAsync(CancellationToken cancellationToken)
    {
        KeyQuestions++;
        var jwk = EcKeys.ToJwk(key);
        return Away
            ? throw new AppUnavailableException("identity is away")
            : Task.FromResult(HasNoKeys ? """{"keys":[]}""" : $$"""{"keys":[{"kty":"EC","crv":"P-256","x":"{{jwk.X}}","y":"{{jwk.Y}}","kid":"k1","use":"sig","alg":"ES256"}]}""");
    }

    public Task<RevocationList> GetRevocationsAsync(CancellationToken cancellationToken) =>
        Away ? throw new AppUnavailableException("identity is away") : Task.FromResult(Revocations);

    public void Dispose() => key.Dispose();
}
