using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.ServiceDefaults.Tests;

public sealed class DpopTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly Uri Url = new("https://gateway.example/a2a?x=1");
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    [Fact]
    public void A_good_proof_tells_the_thumbprint_and_the_id()
    {
        var result = Verify(Proof());

        Assert.Equal(DpopOutcome.Valid, result.Outcome);
        Assert.Equal(EcKeys.Thumbprint(EcKeys.ToJwk(key)), result.Thumbprint);
        Assert.Equal("p1", result.ProofId);
    }

    [Fact]
    public void The_thumbprint_is_that_of_RFC_7638()
    {
        // The key and value of RFC 9449, figures 2 and 12 (cnf.jkt).
        var jwk = new Contracts.EcPublicJwk("EC", "P-256", "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA");

        Assert.Equal("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", EcKeys.Thumbprint(jwk));
    }

    [Theory]
    [InlineData(null, DpopOutcome.Missing)]
    [InlineData("", DpopOutcome.Missing)]
    [InlineData("x", DpopOutcome.Malformed)]
    [InlineData("a.b.c", DpopOutcome.Malformed)]
    [InlineData("W10.W10.W10", DpopOutcome.Malformed)]
    public void Garbage_is_malformed(string? proof, DpopOutcome expected) => Assert.Equal(expected, Verify(proof).Outcome);

    [Fact]
    public void Every_claim_is_checked()
    {
        Assert.Equal(DpopOutcome.Malformed, Verify(Proof(typ: "JWT")).Outcome);
        Assert.Equal(DpopOutcome.Malformed, Verify(Proof(alg: "none")).Outcome);
        Assert.Equal(DpopOutcome.Malformed, Verify(Proof(proofId: "")).Outcome);
        Assert.Equal(DpopOutcome.WrongMethod, Verify(Proof(method: "GET")).Outcome);
        Assert.Equal(DpopOutcome.WrongUrl, Verify(Proof(url: "https://gateway.example/other")).Outcome);
        Assert.Equal(DpopOutcome.WrongUrl, Verify(Proof(url: "http://gateway.example/a2a")).Outcome);
        Assert.Equal(DpopOutcome.TooOld, Verify(Proof(at: Now.AddSeconds(-121))).Outcome);
        Assert.Equal(DpopOutcome.FromTheFuture, Verify(Proof(at: Now.AddSeconds(61))).Outcome);
        Assert.Equal(DpopOutcome.WrongAccessToken, Verify(Proof(accessToken: "other")).Outcome);
        Assert.Equal(DpopOutcome.WrongAccessToken, Verify(Proof(accessToken: null)).Outcome);
        Assert.Equal(DpopOutcome.Valid, Verify(Proof(url: "HTTPS://Gateway.Example:443/a2a#f")).Outcome);
    }

    [Fact]
    public void A_changed_payload_and_a_foreign_key_are_bad_signatures()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var parts = Proof().Split('.');
        var later = Proof(at: Now.AddSeconds(1)).Split('.');

        Assert.Equal(DpopOutcome.BadSignature, Verify($"{parts[0]}.{later[1]}.{parts[2]}").Outcome);
        Assert.Equal(DpopOutcome.BadSignature, Verify(Proof(signer: other)).Outcome);
    }

    [Fact]
    public void A_private_key_a_point_off_the_curve_and_a_second_spelling_are_bad_keys()
    {
        var jwk = EcKeys.ToJwk(key);
        Assert.Equal(DpopOutcome.BadKey, Verify(Proof(jwk: $$"""{"kty":"EC","crv":"P-256","x":"{{jwk.X}}","y":"{{jwk.Y}}","d":"AA"}""")).Outcome);
        Assert.Equal(DpopOutcome.BadKey, Verify(Proof(jwk: $$"""{"kty":"EC","crv":"P-256","x":"{{jwk.X}}","y":"{{jwk.X}}"}""")).Outcome);
        Assert.Equal(DpopOutcome.BadKey, Verify(Proof(jwk: $$"""{"kty":"EC","crv":"P-256","x":"{{jwk.X}}=","y":"{{jwk.Y}}"}""")).Outcome);
        Assert.Equal(DpopOutcome.BadKey, Verify(Proof(jwk: """{"kty":"oct","k":"AA"}""")).Outcome);
        Assert.Equal(DpopOutcome.BadKey, Verify(Proof(jwk: "7")).Outcome);
    }

    public void Dispose() => key.Dispose();

    private static DpopResult Verify(string? proof) => DpopProofs.Verify(proof, "POST", Url, DpopProofs.AccessTokenHash("token"), Now);

    private string Proof(
        string typ = "dpop+jwt", string alg = "ES256", string proofId = "p1", string method = "POST", string url = "https://gateway.example/a2a",
        DateTimeOffset? at = null, string? accessToken = "token", string? jwk = null, ECDsa? signer = null)
    {
        var own = EcKeys.ToJwk(key);
        jwk ??= $$"""{"kty":"EC","crv":"P-256","x":"{{own.X}}","y":"{{own.Y}}"}""";
        var ath = accessToken is null ? "" : $$""","ath":"{{DpopProofs.AccessTokenHash(accessToken)}}" """;
        var signed = Encode($$"""{"typ":"{{typ}}","alg":"{{alg}}","jwk":{{jwk}}}""") + "."
            + Encode($$"""{"jti":"{{proofId}}","htm":"{{method}}","htu":"{{url}}","iat":{{(at ?? Now).ToUnixTimeSeconds()}}{{ath}}}""");
        return signed + "." + Base64Url.EncodeToString((signer ?? key).SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256));
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));
}
