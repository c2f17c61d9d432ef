using System.Net;
using RenderTrust.Contracts;

namespace RenderTrust.Identity.Tests;

public sealed class ApiKeyTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    [Fact]
    public async Task A_key_is_exchanged_for_a_token_with_its_scopes_and_stored_hashed()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        var made = await MakeAsync(device, ["jobs", "credits"]);
        var answer = await IntrospectAsync(made.ApiKey);

        Assert.Matches("^rtk_[A-Za-z0-9_-]{43}$", made.ApiKey);
        Assert.True(answer.Active);
        Assert.InRange(answer.ExpiresInSeconds, 1, 300);
        var me = await IdentityHost.ReadAsync<MeResponse>(await device.SendAsync(HttpMethod.Get, "/v1/identity/me", token: answer.AccessToken));
        Assert.Equal(device.Ids.TenantId, me.TenantId);
        Assert.Equal(made.ApiKeyId.ToString(), me.Subject);
        Assert.Equal(["jobs", "credits"], me.Scopes);
        Assert.Equal(0, await host.CountAsync($"SELECT count(*) FROM api_keys WHERE key_hash::text LIKE '%{made.ApiKey[4..]}%'"));
    }

    [Fact]
    public async Task A_revoked_key_is_inactive_and_its_token_ends()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var made = await MakeAsync(device, ["jobs"]);
        var token = (await IntrospectAsync(made.ApiKey)).AccessToken;

        Assert.Equal(HttpStatusCode.NoContent, (await device.SendAsync(HttpMethod.Delete, $"/v1/identity/api-keys/{made.ApiKeyId}")).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await device.SendAsync(HttpMethod.Delete, $"/v1/identity/api-keys/{made.ApiKeyId}")).StatusCode);

        Assert.False((await IntrospectAsync(made.ApiKey)).Active);
        Assert.True((await device.GetAsync<ApiKeyList>("/v1/identity/api-keys")).ApiKeys.Single().Revoked);
        await IdentityHost.WaitAsync(
            async () => (await device.SendAsync(HttpMethod.Get, "/v1/identity/me", token: token)).StatusCode == HttpStatusCode.Unauthorized, "401 for the key's token");
    }

    [Fact]
    public async Task Unknown_expired_and_garbage_keys_are_inactive()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var made = await MakeAsync(device, ["jobs"]);
        await host.CountAsync($"UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE api_key_id = '{made.ApiKeyId}' RETURNING 1");

        foreach (var key in new[] { made.ApiKey, "rtk_" + new string('A', 43), "rtk_", "", "x" })
        {
            Assert.False((await IntrospectAsync(key)).Active);
        }
    }

    [Theory]
    [InlineData("admin")]
    [InlineData("everything")]
    [InlineData(null)]
    public async Task A_scope_that_a_key_cannot_have_is_refused(string? scope)
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        var problem = await IdentityHost.ProblemAsync(
            await device.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new CreateApiKeyRequest("ci", [scope!])), HttpStatusCode.UnprocessableEntity);

        Assert.Contains(scope ?? "null", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_gets_no_scope_that_its_makers_token_lacks()
    {
        using var device = await TestDevice.SignUpAsync(host.Http, scope: "admin jobs");

        await IdentityHost.ProblemAsync(
            await device.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new CreateApiKeyRequest("ci", ["credits"])), HttpStatusCode.UnprocessableEntity);
    }

    [Fact]
    public async Task Bad_requests_are_400()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new { name = "a", scopes = Array.Empty<string>() }), HttpStatusCode.BadRequest);
        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new { name = "", scopes = new[] { "jobs" } }), HttpStatusCode.BadRequest);
        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new { name = "a", scopes = new[] { "jobs" }, expiresInSeconds = 1 }), HttpStatusCode.BadRequest);
        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new { scopes = new[] { "jobs" } }), HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Introspection_is_for_the_gateway_only()
    {
        var response = await host.InternalPostAsync("/internal/api-keys/introspections", new IntrospectApiKeyRequest("x"), caller: "scheduler");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    private static async Task<CreateApiKeyResponse> MakeAsync(TestDevice device, string[] scopes) =>
        await IdentityHost.ReadAsync<CreateApiKeyResponse>(
            await device.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new CreateApiKeyRequest("ci", scopes)), HttpStatusCode.Created);

    private async Task<IntrospectApiKeyResponse> IntrospectAsync(string key) =>
        await IdentityHost.ReadAsync<IntrospectApiKeyResponse>(await host.InternalPostAsync("/internal/api-keys/introspections", new IntrospectApiKeyRequest(key)));
}
