using System.Net;
using System.Security.Cryptography;
using System.Text.Json;

namespace RenderTrust.Identity.Tests;

public sealed class TokenTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    [Fact]
    public async Task A_token_is_bound_to_the_device_key_and_lives_a_day()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        var response = await IdentityHost.ReadAsync<JsonElement>(await device.AskTokenAsync(scope: "jobs credits"));

        Assert.Equal("DPoP", response.GetProperty("token_type").GetString());
        Assert.Equal(86_400, response.GetProperty("expires_in").GetInt32());
        Assert.Equal("jobs credits", response.GetProperty("scope").GetString());
        var payload = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(response.GetProperty("access_token").GetString()!.Split('.')[1])).RootElement;
        Assert.Equal("rendertrust", payload.GetProperty("iss").GetString());
        Assert.Equal("rendertrust", payload.GetProperty("aud").GetString());
        Assert.Equal(device.Ids.DeviceId.ToString(), payload.GetProperty("sub").GetString());
        Assert.Equal(device.Ids.TenantId.ToString(), payload.GetProperty("tenant").GetString());
        Assert.Equal(ServiceDefaults.EcKeys.Thumbprint(device.Jwk), payload.GetProperty("cnf").GetProperty("jkt").GetString());
    }

    [Fact]
    public async Task An_assertion_is_good_once_also_on_another_replica_and_also_when_both_come_at_once()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var replica = await host.StartAsync();
        var assertion = device.Assertion();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(index => device.AskTokenAsync(assertion, at: index % 2 == 0 ? host.Http : replica)));

        Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.OK);
        await RefusedAsync(await device.AskTokenAsync(assertion), "invalid_grant");
    }

    [Fact]
    public async Task A_proof_is_good_once()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var proof = device.Proof();

        Assert.Equal(HttpStatusCode.OK, (await device.AskTokenAsync(proof: proof)).StatusCode);
        await RefusedAsync(await device.AskTokenAsync(proof: proof), "invalid_grant");
    }

    [Fact]
    public async Task Assertions_that_are_not_right_are_refused_with_a_reason()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var other = await TestDevice.SignUpAsync(host.Http);

        await RefusedAsync(await device.AskTokenAsync("x"), "invalid_request");
        await RefusedAsync(await device.AskTokenAsync(grant: "password"), "unsupported_grant_type");
        await RefusedAsync(await device.AskTokenAsync(scope: "jobs everything"), "invalid_scope");
        await RefusedAsync(await device.AskTokenAsync(device.Assertion(device: Guid.NewGuid().ToString())), "invalid_grant");
        await RefusedAsync(await device.AskTokenAsync(device.Assertion(device: other.Ids.DeviceId.ToString())), "invalid_grant");
        await RefusedAsync(await device.AskTokenAsync(device.Assertion(signer: other.Key)), "invalid_grant");
        await RefusedAsync(await device.AskTokenAsync(device.Assertion(aud: "rendertrust:registration")), "invalid_grant");
        await RefusedAsync(await device.AskTokenAsync(device.Assertion(age: 600)), "invalid_grant");
        await RefusedAsync(await device.AskTokenAsync(device.Assertion(life: 900)), "invalid_grant");
        await RefusedAsync(await device.AskTokenAsync(device.Assertion(age: -300)), "invalid_grant");
    }

    [Fact]
    public async Task Proofs_that_are_not_right_are_refused_with_a_reason()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        await RefusedAsync(await device.AskTokenAsync(withProof: false), "invalid_dpop_proof");
        await RefusedAsync(await device.AskTokenAsync(proof: "x"), "invalid_dpop_proof");
        await RefusedAsync(await device.AskTokenAsync(proof: device.Proof(method: "GET")), "invalid_dpop_proof");
        await RefusedAsync(await device.AskTokenAsync(proof: device.Proof(url: "https://evil.example/v1/identity/token")), "invalid_dpop_proof");
        await RefusedAsync(await device.AskTokenAsync(proof: device.Proof(age: 600)), "invalid_dpop_proof");
        await RefusedAsync(await device.AskTokenAsync(proof: device.Proof(key: stranger)), "invalid_dpop_proof");
    }

    [Fact]
    public async Task The_origin_that_the_gateway_forwards_counts_unless_origins_are_configured_and_a_strangers_never_does()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        using var anyOrigin = await host.StartAsync(new() { ["Identity:PublicUrls:0"] = null });

        async Task<HttpStatusCode> AskAsync(HttpClient identity, string? apiToken)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/identity/token")
            {
                Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "urn:ietf:params:oauth:grant-type:jwt-bearer", ["assertion"] = device.Assertion() }),
                Headers = { { "DPoP", device.Proof(url: "http://10.0.0.7:9000/v1/identity/token") }, { "X-Forwarded-Proto", "http" }, { "X-Forwarded-Host", "10.0.0.7:9000" } },
            };
            if (apiToken is not null)
            {
                request.Headers.Add("dapr-api-token", apiToken);
            }

            return (await identity.SendAsync(request, TestContext.Current.CancellationToken)).StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await AskAsync(anyOrigin, IdentityHost.ApiToken));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync(anyOrigin, null));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync(host.Http, IdentityHost.ApiToken));
    }

    [Fact]
    public async Task A_body_that_is_no_form_is_an_oauth_error()
    {
        using var content = new StringContent("""{"grant_type":"x"}""", System.Text.Encoding.UTF8, "application/json");

        await RefusedAsync(await host.Http.PostAsync("/v1/identity/token", content, TestContext.Current.CancellationToken), "invalid_request");
    }

    [Fact]
    public async Task A_revoked_device_gets_no_token_and_its_old_one_ends()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        Assert.Equal(HttpStatusCode.NoContent, (await device.SendAsync(HttpMethod.Delete, $"/v1/identity/devices/{device.Ids.DeviceId}")).StatusCode);

        await RefusedAsync(await device.AskTokenAsync(), "invalid_grant");
        await IdentityHost.WaitAsync(
            async () => (await device.SendAsync(HttpMethod.Get, "/v1/identity/me")).StatusCode == HttpStatusCode.Unauthorized, "401 for the old token");
    }

    [Fact]
    public async Task A_token_without_scope_admin_cannot_make_keys()
    {
        using var device = await TestDevice.SignUpAsync(host.Http, scope: "jobs");

        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Get, "/v1/identity/api-keys"), HttpStatusCode.Forbidden);
    }

    private static async Task RefusedAsync(HttpResponseMessage response, string error)
    {
        var body = await IdentityHost.ReadAsync<JsonElement>(response, HttpStatusCode.BadRequest);
        Assert.Equal(error, body.GetProperty("error").GetString());
        Assert.NotEmpty(body.GetProperty("error_description").GetString()!);
    }
}
