using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Tests.Hosting;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Tests.Auth;

public sealed class EdgeAuthTests : IAsyncLifetime
{
    private static readonly HttpClient Http = new();

    private EdgeHost _host = null!;
    private Device _device = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private Uri Credits => new(_host.Gateway, "/v1/credits");

    public async ValueTask InitializeAsync()
    {
        _host = await EdgeHost.StartAsync();
        _device = _host.NewDevice();
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private async Task<(HttpStatusCode Status, string Detail, string Challenge)> CallAsync(string? authorization, params string[] proofs)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Credits);
        if (authorization is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        }

        foreach (var proof in proofs)
        {
            request.Headers.TryAddWithoutValidation("DPoP", proof);
        }

        using var response = await Http.SendAsync(request, Token);
        var body = await response.Content.ReadAsStringAsync(Token);
        if (response.IsSuccessStatusCode)
        {
            return (response.StatusCode, "", "");
        }

        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return (response.StatusCode, (string)JsonNode.Parse(body)!["detail"]!, string.Join(" | ", response.Headers.WwwAuthenticate));
    }

    [Fact]
    public async Task A_token_with_a_fresh_proof_is_let_in_and_forwarded_as_a_plain_token()
    {
        var token = _device.Token();

        Assert.Equal(HttpStatusCode.OK, (await CallAsync("DPoP " + token, _device.Proof("GET", Credits, token))).Status);

        var forwarded = Assert.Single(_host.Sidecar.Forwards);
        Assert.Equal("Bearer " + token, forwarded.Headers["Authorization"]);
        Assert.False(forwarded.Headers.ContainsKey("DPoP"));
    }

    [Fact]
    public async Task Loopback_names_mean_the_same_machine()
    {
        var token = _device.Token();

        Assert.Equal(HttpStatusCode.OK, (await CallAsync("DPoP " + token, _device.Proof("GET", new Uri($"http://localhost:{_host.Gateway.Port}/v1/credits"), token))).Status);
    }

    [Fact]
    public async Task A_replayed_proof_is_refused()
    {
        var token = _device.Token();
        var proof = _device.Proof("GET", Credits, token);

        Assert.Equal(HttpStatusCode.OK, (await CallAsync("DPoP " + token, proof)).Status);
        var replayed = await CallAsync("DPoP " + token, proof);

        Assert.Equal(HttpStatusCode.Unauthorized, replayed.Status);
        Assert.Contains("used before", replayed.Detail, StringComparison.Ordinal);
        Assert.Contains("invalid_dpop_proof", replayed.Challenge, StringComparison.Ordinal);
        Assert.Single(_host.Sidecar.Forwards);
    }

    [Fact]
    public async Task A_replay_in_the_same_instant_lets_only_one_pass()
    {
        var token = _device.Token();
        var proof = _device.Proof("GET", Credits, token);

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => CallAsync("DPoP " + token, proof)));

        Assert.Single(answers, answer => answer.Status == HttpStatusCode.OK);
    }

    [Fact]
    public async Task Wrong_proofs_are_refused_each_with_its_cause()
    {
        var token = _device.Token();
        var other = _host.NewDevice();
        (string Cause, string[] Proofs)[] cases =
        [
            ("exactly one DPoP header", []),
            ("compact JWS", [_device.Proof("GET", Credits, token), _device.Proof("GET", Credits, token)]),
            ("compact JWS", ["nonsense"]),
            ("another key", [other.Proof("GET", Credits, token)]),
            ("method", [_device.Proof("POST", Credits, token)]),
            ("/v1/credits", [_device.Proof("GET", new Uri(_host.Gateway, "/v1/jobs"), token)]),
            ("evil.example", [_device.Proof("GET", new Uri("http://evil.example/v1/credits"), token)]),
            ("old", [_device.Proof("GET", Credits, token, DateTimeOffset.UtcNow.AddMinutes(-5))]),
            ("ahead", [_device.Proof("GET", Credits, token, DateTimeOffset.UtcNow.AddMinutes(5))]),
            ("ath", [_device.Proof("GET", Credits, "another token")]),
            ("dpop+jwt", [_device.Proof("GET", Credits, token, typ: "JWT")]),
        ];

        foreach (var (cause, proofs) in cases)
        {
            var refused = await CallAsync("DPoP " + token, proofs);
            Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
            Assert.Contains(cause, refused.Detail, StringComparison.Ordinal);
        }

        Assert.Empty(_host.Sidecar.Forwards);
    }

    [Fact]
    public async Task A_stolen_proof_is_not_saved_by_a_matching_host_header()
    {
        var token = _device.Token();
        using var request = new HttpRequestMessage(HttpMethod.Get, Credits);
        request.Headers.Host = "evil.example";
        request.Headers.TryAddWithoutValidation("Authorization", "DPoP " + token);
        request.Headers.Add("DPoP", _device.Proof("GET", new Uri("http://evil.example/v1/credits"), token));

        using var response = await Http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task An_expired_token_is_refused()
    {
        var token = _device.Token(TimeSpan.FromMinutes(-5));

        var refused = await CallAsync("DPoP " + token, _device.Proof("GET", Credits, token));

        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        Assert.Contains("Get a new token", refused.Detail, StringComparison.Ordinal);
        Assert.Contains("invalid_token", refused.Challenge, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_of_another_signer_is_refused()
    {
        await using var elsewhere = await EdgeHost.StartAsync();
        var token = new Device(elsewhere.Sidecar).Token();

        Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync("DPoP " + token, _device.Proof("GET", Credits, token))).Status);
    }

    [Fact]
    public async Task A_bound_token_sent_without_its_proof_is_refused()
    {
        var token = _device.Token();

        Assert.Contains("API keys", (await CallAsync("Bearer " + token)).Detail, StringComparison.Ordinal);
        Assert.Contains("bound to no key", (await CallAsync("DPoP " + _device.Token(isBound: false))).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_credentials_and_unknown_schemes_say_what_to_send()
    {
        var none = await CallAsync(null);
        Assert.Equal(HttpStatusCode.Unauthorized, none.Status);
        Assert.Contains("DPoP algs=\"ES256\"", none.Challenge, StringComparison.Ordinal);
        Assert.Contains("Bearer", none.Challenge, StringComparison.Ordinal);
        Assert.Contains("Basic", (await CallAsync("Basic eDp5")).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_api_key_is_introspected_once_and_forwarded_as_the_internal_token()
    {
        var internalToken = _device.Token(isBound: false, scopes: Scopes.Credits);
        _host.Sidecar.ApiKeyTokens["rtk_good"] = internalToken;

        Assert.Equal(HttpStatusCode.OK, (await CallAsync("Bearer rtk_good")).Status);
        Assert.Equal(HttpStatusCode.OK, (await CallAsync("Bearer rtk_good")).Status);

        Assert.Equal(1, _host.Sidecar.Introspections);
        Assert.All(_host.Sidecar.Forwards, forwarded => Assert.Equal("Bearer " + internalToken, forwarded.Headers["Authorization"]));
    }

    [Fact]
    public async Task An_unknown_api_key_is_refused()
    {
        var refused = await CallAsync("Bearer rtk_bad");

        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        Assert.Contains("unknown, expired or revoked", refused.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_revoked_device_is_shut_out()
    {
        using var client = _device.Client(_host.Gateway);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(Credits, Token)).StatusCode);

        _host.Sidecar.RevokedDevices.Add(_device.Id);

        var deadline = DateTimeOffset.UtcNow.AddSeconds(30);
        while ((await client.GetAsync(Credits, Token)).StatusCode != HttpStatusCode.Unauthorized)
        {
            Assert.True(DateTimeOffset.UtcNow < deadline, "The revoked device was still let in after 30 s.");
            await Task.Delay(50, Token);
        }
    }

    [Fact]
    public async Task Jobs_need_the_scope_for_jobs()
    {
        using var client = _device.Client(_host.Gateway, _device.Token(scopes: Scopes.Credits));
        using var content = new StringContent("{}", MediaTypeHeaderValue.Parse("application/json"));

        using var response = await client.PostAsync(new Uri(_host.Gateway, "/a2a"), content, Token);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("'jobs'", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_replay_store_that_is_down_lets_nobody_in()
    {
        _host.Sidecar.IsStateStoreDown = true;
        var token = _device.Token();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await CallAsync("DPoP " + token, _device.Proof("GET", Credits, token))).Status);
        Assert.Empty(_host.Sidecar.Forwards);
    }
}
