using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;
using RenderTrust.Sealing;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>Tokens, proofs and keys that are expired, replayed, revoked or meant for something else.</summary>
public sealed class TokenTests(PlatformFixture platform) : IAsyncLifetime
{
    private int _faultsBefore;
    private HttpClient _http = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private Uri Credits => new(platform.Gateway, "/v1/credits");

    public async ValueTask InitializeAsync()
    {
        await platform.StartAsync();
        _faultsBefore = platform.Faults.Count;
        _http = new HttpClient(platform.Handler, disposeHandler: false);
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        Assert.Empty(platform.Faults.Skip(_faultsBefore));
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_proof_is_good_once()
    {
        var (creator, key, token) = await SignedInAsync();
        var proof = Jws.Proof(key, "GET", Credits, token, DateTimeOffset.UtcNow);

        Assert.Equal(200, (await GetAsync($"DPoP {token}", proof)).Status);
        (await GetAsync($"DPoP {token}", proof)).AssertProblem(401, "used before", "new one");
        Assert.NotEqual(Guid.Empty, creator.Profile.Facts.TenantId.Value);
    }

    [Fact]
    public async Task A_proof_for_another_address_method_token_time_or_key_is_refused()
    {
        var (_, key, token) = await SignedInAsync();
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = DateTimeOffset.UtcNow;

        (await GetAsync($"DPoP {token}", Jws.Proof(key, "GET", new Uri(platform.Gateway, "/v1/jobs"), token, now))).AssertProblem(401, "/v1/jobs");
        (await GetAsync($"DPoP {token}", Jws.Proof(key, "GET", new Uri("http://elsewhere.example/v1/credits"), token, now))).AssertProblem(401, "elsewhere.example");
        (await GetAsync($"DPoP {token}", Jws.Proof(key, "POST", Credits, token, now))).AssertProblem(401, "POST");
        (await GetAsync($"DPoP {token}", Jws.Proof(key, "GET", Credits, token + "x", now))).AssertProblem(401, "ath");
        (await GetAsync($"DPoP {token}", Jws.Proof(key, "GET", Credits, null, now))).AssertProblem(401, "ath");
        (await GetAsync($"DPoP {token}", Jws.Proof(key, "GET", Credits, token, now.AddHours(-1)))).AssertProblem(401, "proof");
        (await GetAsync($"DPoP {token}", Jws.Proof(key, "GET", Credits, token, now.AddHours(1)))).AssertProblem(401, "proof");
        (await GetAsync($"DPoP {token}", Jws.Proof(stranger, "GET", Credits, token, now))).AssertProblem(401, "another key");
        (await GetAsync($"DPoP {token}", null)).AssertProblem(401, "exactly one DPoP header");
        (await GetAsync($"DPoP {token}", "nonsense")).AssertProblem(401);
        (await GetAsync($"Bearer {token}", null)).AssertProblem(401, "rtk_", "DPoP");
        (await GetAsync("Basic YTpi", null)).AssertProblem(401, "Basic");
        (await GetAsync(null, null)).AssertProblem(401, "no credentials", "Authorization");
    }

    [Fact]
    public async Task An_expired_or_forged_access_token_is_refused()
    {
        var (creator, key, _) = await SignedInAsync();
        using var platformKey = ECDsa.Create();
        platformKey.ImportFromPem(await File.ReadAllTextAsync(Path.Combine(platform.Data, "keys", "identity", "access-tokens.pem"), Token));
        using var forger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string Make(ECDsa signer, string kid, DateTimeOffset issued) => Jws.Sign(
            signer,
            new JsonObject { ["typ"] = "at+jwt", ["kid"] = kid },
            new JsonObject
            {
                ["iss"] = "rendertrust", ["aud"] = "rendertrust", ["sub"] = creator.Profile.Facts.DeviceId.ToString(), ["jti"] = Guid.NewGuid().ToString(), ["sub_kind"] = "device",
                ["tenant"] = creator.Profile.Facts.TenantId.ToString(), ["scope"] = "jobs credits", ["cnf"] = new JsonObject { ["jkt"] = Jws.Thumbprint(key) },
                ["iat"] = issued.ToUnixTimeSeconds(), ["nbf"] = issued.ToUnixTimeSeconds(), ["exp"] = issued.AddHours(24).ToUnixTimeSeconds(),
            });

        Task<Answer> UseAsync(string token) => GetAsync($"DPoP {token}", Jws.Proof(key, "GET", Credits, token, DateTimeOffset.UtcNow));
        var kid = Jws.Thumbprint(platformKey);

        // The control: made the same way, and good. What follows differs in one thing each.
        Assert.Equal(200, (await UseAsync(Make(platformKey, kid, DateTimeOffset.UtcNow))).Status);
        (await UseAsync(Make(platformKey, kid, DateTimeOffset.UtcNow.AddHours(-25)))).AssertProblem(401, "access token was good", "new token");
        (await UseAsync(Make(platformKey, kid, DateTimeOffset.UtcNow.AddHours(2)))).AssertProblem(401, "access token was good");
        (await UseAsync(Make(forger, kid, DateTimeOffset.UtcNow))).AssertProblem(401, "signature");
        (await UseAsync(Make(forger, Jws.Thumbprint(forger), DateTimeOffset.UtcNow))).AssertProblem(401, "which identity does not have");
    }

    [Fact]
    public async Task An_assertion_is_good_once_and_only_in_its_time()
    {
        var (creator, key, _) = await SignedInAsync();
        var now = DateTimeOffset.UtcNow;
        var assertion = Jws.Assertion(creator, key, now);

        Assert.Equal(200, (await TokenAsync(assertion, key)).Status);
        AssertInvalidGrant(await TokenAsync(assertion, key), "used before");
        AssertInvalidGrant(await TokenAsync(Jws.Assertion(creator, key, now.AddHours(-2)), key), "is good from");
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        AssertInvalidGrant(await TokenAsync(Jws.Assertion(creator, stranger, now), stranger), "");

        static void AssertInvalidGrant(Answer answer, string says)
        {
            Assert.True(answer.Status is 400 or 401, answer.ToString());
            Assert.True(answer.Json.GetProperty("error").GetString() is "invalid_grant" or "invalid_dpop_proof", answer.ToString());
            Assert.Contains(says, answer.Json.GetProperty("error_description").GetString(), StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public async Task An_api_key_ends_when_it_expires_or_is_revoked_and_reaches_only_its_scopes()
    {
        var creator = await platform.NewCreatorAsync("Keys");
        var narrow = await creator.Identity.CreateApiKeyAsync(new CreateApiKeyRequest("narrow", ["jobs"]), Token);
        var revoked = await creator.Identity.CreateApiKeyAsync(new CreateApiKeyRequest("revoked", ["credits"]), Token);
        var expired = await creator.Identity.CreateApiKeyAsync(new CreateApiKeyRequest("expired", ["credits"]), Token);
        Assert.Equal(1, await platform.SqlAsync<int>(
            "WITH changed AS (UPDATE identity.api_keys SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE api_key_id = $1 RETURNING 1) SELECT count(*)::int FROM changed",
            expired.ApiKeyId));

        (await GetAsync($"Bearer {narrow.ApiKey}", null)).AssertProblem(403, "credits");
        (await GetAsync($"Bearer {expired.ApiKey}", null)).AssertProblem(401, "expired", "new one");
        (await GetAsync($"Bearer rtk_{new string('A', 43)}", null)).AssertProblem(401, "unknown");
        Assert.Equal(200, (await GetAsync($"Bearer {revoked.ApiKey}", null)).Status);
        await creator.Identity.RevokeApiKeyAsync(revoked.ApiKeyId, Token);
        (await Wait.ForAsync(() => GetAsync($"Bearer {revoked.ApiKey}", null), answer => answer.Status != 200, "the revoked key to be refused")).AssertProblem(401, "revoked");
    }

    [Fact]
    public async Task A_revoked_device_is_out()
    {
        var (creator, key, token) = await SignedInAsync();

        await creator.Identity.RevokeDeviceAsync(creator.Profile.Facts.DeviceId, Token);

        var refused = await Wait.ForAsync(
            () => GetAsync($"DPoP {token}", Jws.Proof(key, "GET", Credits, token, DateTimeOffset.UtcNow)), answer => answer.Status != 200, "the revoked device to be refused");
        refused.AssertProblem(401, "revoked");
        Assert.Equal(400, (await TokenAsync(Jws.Assertion(creator, key, DateTimeOffset.UtcNow), key)).Status);
    }

    [Fact]
    public async Task A_node_token_makes_one_node_and_only_in_its_time()
    {
        var creator = await platform.NewCreatorAsync("Studio");
        var token = (await creator.Identity.CreateNodeTokenAsync("bench", 600, Token)).Token;
        var late = (await creator.Identity.CreateNodeTokenAsync("late", 600, Token)).Token;
        Assert.True(await platform.SqlAsync<int>(
            "WITH changed AS (UPDATE identity.node_tokens SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE node_name = 'late' RETURNING 1) SELECT count(*)::int FROM changed") >= 1);
        var first = EnrolmentKeys.New();

        var node = await EnrolAsync(token, first);
        var again = await EnrolAsync(token, first);
        Assert.Equal(200, node.Status);
        Assert.Equal(node.Json.GetProperty("nodeId").GetString(), again.Json.GetProperty("nodeId").GetString());
        var replayed = await EnrolAsync(token, EnrolmentKeys.New());
        var expired = await EnrolAsync(late, EnrolmentKeys.New());
        var unknown = await EnrolAsync("rtn_" + new string('A', 43), EnrolmentKeys.New());
        Assert.All([replayed, expired, unknown], answer => Assert.True(answer.Status is 401 or 403 or 409 or 410, answer.ToString()));
        Assert.Contains("used", replayed.Body, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("expired", expired.Body, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("token", unknown.Body, StringComparison.OrdinalIgnoreCase);
    }

    private async Task<(RenderTrustClient Creator, ECDsa Key, string Token)> SignedInAsync()
    {
        var creator = await platform.NewCreatorAsync("Tess", credits: 0);
        return (creator, Jws.KeyOf(creator.Profile), await creator.GetAccessTokenAsync(Token));
    }

    private async Task<Answer> GetAsync(string? authorization, string? proof)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Credits);
        if (authorization is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        }

        if (proof is not null)
        {
            request.Headers.TryAddWithoutValidation("DPoP", proof);
        }

        return await Answer.ReadAsync(await _http.SendAsync(request, Token));
    }

    private async Task<Answer> TokenAsync(string assertion, ECDsa key)
    {
        var address = new Uri(platform.Gateway, "/v1/identity/token");
        using var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "urn:ietf:params:oauth:grant-type:jwt-bearer", ["assertion"] = assertion }),
        };
        request.Headers.TryAddWithoutValidation("DPoP", Jws.Proof(key, "POST", address, null, DateTimeOffset.UtcNow));
        return await Answer.ReadAsync(await _http.SendAsync(request, Token));
    }

    private async Task<Answer> EnrolAsync(string token, EnrolmentKeys keys)
    {
        using var content = Wire.Json(JsonSerializer.Serialize(new EnrolNodeRequest(token, keys.CsrPem, keys.EncryptionKey), WireJson.Options));
        return await Answer.ReadAsync(await _http.PostAsync(new Uri(platform.Gateway, "/v1/identity/node-enrolments"), content, Token));
    }

    private sealed record EnrolmentKeys(string CsrPem, string EncryptionKey)
    {
        public static EnrolmentKeys New()
        {
            using var tls = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var encryption = RecipientKeyPair.Generate();
            return new EnrolmentKeys(new CertificateRequest("CN=bench", tls, HashAlgorithmName.SHA256).CreateSigningRequestPem(), encryption.PublicKey.Encode());
        }
    }
}
