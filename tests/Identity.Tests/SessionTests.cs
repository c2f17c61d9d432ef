using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using RenderTrust.Contracts;

namespace RenderTrust.Identity.Tests;

public sealed class SessionTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    [Fact]
    public async Task A_browser_with_the_links_code_gets_a_session_of_the_devices_tenant_without_the_right_to_make_keys()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var (signIn, code) = await BeginAsync(device);

        var redeemed = await RedeemAsync(code);
        var answer = await IntrospectAsync(redeemed.Session!);

        Assert.Equal((RedeemOutcome.SignedIn, signIn.SignInId), (redeemed.Outcome, redeemed.SignInId));
        Assert.Matches("^rts_[A-Za-z0-9_-]{43}$", redeemed.Session);
        Assert.Equal((device.Ids.TenantId, "Ada"), (answer.Session!.TenantId, answer.Session.DisplayName));
        Assert.Equal(redeemed.ExpiresAt!.Value, answer.Session.ExpiresAt, TimeSpan.FromMilliseconds(1));
        var me = await IdentityHost.ReadAsync<MeResponse>(await device.SendAsync(HttpMethod.Get, "/v1/identity/me", token: answer.AccessToken));
        Assert.Equal((device.Ids.TenantId, answer.Session.SessionId.ToString("D")), (me.TenantId, me.Subject));
        Assert.Equal(["jobs", "credits", "nodes"], me.Scopes);
        Assert.Equal(HttpStatusCode.Forbidden, (await device.SendAsync(HttpMethod.Get, "/v1/identity/api-keys", token: answer.AccessToken)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await device.SendAsync(HttpMethod.Post, "/v1/identity/sign-ins", new CreateSignInRequest(Hash(NewCode())), answer.AccessToken)).StatusCode);
        Assert.Equal(0, await host.CountAsync($"SELECT count(*) FROM sessions WHERE secret_hash::text LIKE '%{redeemed.Session![4..]}%'"));
    }

    [Fact]
    public async Task A_link_is_good_once_whoever_comes_first()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var (_, code) = await BeginAsync(device);

        var all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => RedeemAsync(code)));

        Assert.Equal(1, all.Count(answer => answer.Outcome == RedeemOutcome.SignedIn));
        Assert.Equal(7, all.Count(answer => answer is { Outcome: RedeemOutcome.UnknownCode, Session: null }));
    }

    [Fact]
    public async Task A_link_ends_after_a_minute_and_so_does_an_unknown_one_before_it_began()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var (signIn, code) = await BeginAsync(device);
        await host.CountAsync($"UPDATE sign_ins SET expires_at = now() - interval '1 s' WHERE sign_in_id = '{signIn.SignInId}' RETURNING 1");

        Assert.Equal(RedeemOutcome.Expired, (await RedeemAsync(code)).Outcome);
        Assert.Equal(RedeemOutcome.UnknownCode, (await RedeemAsync(NewCode())).Outcome);
        Assert.InRange((signIn.ExpiresAt - DateTimeOffset.UtcNow).TotalSeconds, 0, 60);
    }

    [Fact]
    public async Task The_device_sees_the_browsers_key_and_only_its_browser_gets_what_was_sealed_for_it()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var stranger = await TestDevice.SignUpAsync(host.Http);
        var (signIn, code) = await BeginAsync(device);
        Assert.Null((await device.GetAsync<SignInState>($"/v1/identity/sign-ins/{signIn.SignInId}")).Browser);
        var key = TestDevice.NewPoint();

        var redeemed = await RedeemAsync(code, key);
        var browser = (await device.GetAsync<SignInState>($"/v1/identity/sign-ins/{signIn.SignInId}")).Browser!;
        var session = (await IntrospectAsync(redeemed.Session!)).Session!;
        var before = await host.InternalGetAsync<HandedOverKey>($"/internal/sessions/{session.SessionId}/key");
        var path = $"/v1/identity/sign-ins/{signIn.SignInId}/key";
        var foreign = await stranger.SendAsync(HttpMethod.Post, path, new HandOverKeyRequest([9]));
        var handed = await device.SendAsync(HttpMethod.Post, path, new HandOverKeyRequest([1, 2, 3]));
        var repeated = await device.SendAsync(HttpMethod.Post, path, new HandOverKeyRequest([1, 2, 3]));
        var another = await device.SendAsync(HttpMethod.Post, path, new HandOverKeyRequest([4]));
        var after = await host.InternalGetAsync<HandedOverKey>($"/internal/sessions/{session.SessionId}/key");

        Assert.Equal((session.SessionId, key, Proof, "Chromium on Linux"), (browser.SessionId, browser.Key, browser.Proof, browser.Name));
        Assert.Equal((signIn.SignInId, null, true), (before.SignInId, before.HandedOver, before.Open));
        Assert.Equal(
            (HttpStatusCode.NotFound, HttpStatusCode.NoContent, HttpStatusCode.NoContent, HttpStatusCode.NotFound),
            (foreign.StatusCode, handed.StatusCode, repeated.StatusCode, another.StatusCode));
        Assert.Equal([1, 2, 3], after.HandedOver!);
    }

    [Fact]
    public async Task A_session_ends_by_itself_by_its_browser_by_its_creator_and_with_its_device()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var sessions = new List<(string Secret, Guid Id)>();
        for (var i = 0; i < 4; i++)
        {
            var secret = (await RedeemAsync((await BeginAsync(device)).Code)).Session!;
            sessions.Add((secret, (await IntrospectAsync(secret)).Session!.SessionId));
        }

        await host.CountAsync($"UPDATE sessions SET expires_at = now() - interval '1 s' WHERE session_id = '{sessions[0].Id}' RETURNING 1");
        Assert.Equal(HttpStatusCode.NoContent, (await host.InternalPostAsync($"/internal/sessions/{sessions[1].Id}/end", new { })).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await device.SendAsync(HttpMethod.Delete, $"/v1/identity/sessions/{sessions[2].Id}")).StatusCode);
        Assert.Equal([sessions[3].Id], (await device.GetAsync<SessionList>("/v1/identity/sessions")).Sessions.Select(session => session.SessionId));
        Assert.True((await IntrospectAsync(sessions[3].Secret)).Active);
        await device.SendAsync(HttpMethod.Delete, $"/v1/identity/devices/{device.Ids.DeviceId}");

        foreach (var (secret, _) in sessions)
        {
            Assert.False((await IntrospectAsync(secret)).Active);
        }
    }

    [Fact]
    public async Task Another_tenants_sign_in_and_session_look_like_unknown_ones()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var stranger = await TestDevice.SignUpAsync(host.Http);
        var (signIn, code) = await BeginAsync(device);
        var session = (await IntrospectAsync((await RedeemAsync(code)).Session!)).Session!;

        foreach (var id in new[] { session.SessionId, Guid.NewGuid() })
        {
            await IdentityHost.ProblemAsync(await stranger.SendAsync(HttpMethod.Delete, $"/v1/identity/sessions/{id}"), HttpStatusCode.NotFound);
        }

        foreach (var id in new[] { signIn.SignInId, Guid.NewGuid() })
        {
            await IdentityHost.ProblemAsync(await stranger.SendAsync(HttpMethod.Get, $"/v1/identity/sign-ins/{id}"), HttpStatusCode.NotFound);
        }

        Assert.Empty((await stranger.GetAsync<SessionList>("/v1/identity/sessions")).Sessions);
    }

    [Fact]
    public async Task A_device_has_no_more_than_ten_links_waiting()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        for (var i = 0; i < 10; i++)
        {
            await BeginAsync(device);
        }

        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Post, "/v1/identity/sign-ins", new CreateSignInRequest(Hash(NewCode()))), HttpStatusCode.Conflict);
    }

    [Fact]
    public async Task Garbage_is_refused_and_a_session_of_no_form_is_inactive()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var (_, code) = await BeginAsync(device);

        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Post, "/v1/identity/sign-ins", new CreateSignInRequest("short")), HttpStatusCode.BadRequest);
        Assert.Equal(HttpStatusCode.BadRequest, (await host.InternalPostAsync("/internal/sign-ins/redemptions", new { code = "x", browserKey = "y", proof = "z", browserName = "" })).StatusCode);
        Assert.Equal(RedeemOutcome.BadBrowserKey, (await RedeemAsync(code, new string('A', 87))).Outcome);
        Assert.Equal(RedeemOutcome.SignedIn, (await RedeemAsync(code)).Outcome);
        foreach (var secret in new[] { "", "x", "rts_", "rts_" + new string('A', 43) })
        {
            Assert.False((await IntrospectAsync(secret)).Active);
        }
    }

    private static string Proof => new('p', 43);

    private static string NewCode() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    private static string Hash(string code) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(code)));

    private static async Task<(CreateSignInResponse SignIn, string Code)> BeginAsync(TestDevice device)
    {
        var code = NewCode();
        var response = await device.SendAsync(HttpMethod.Post, "/v1/identity/sign-ins", new CreateSignInRequest(Hash(code)));
        return (await IdentityHost.ReadAsync<CreateSignInResponse>(response, HttpStatusCode.Created), code);
    }

    private async Task<RedeemSignInResponse> RedeemAsync(string code, string? key = null) => await IdentityHost.ReadAsync<RedeemSignInResponse>(
        await host.InternalPostAsync("/internal/sign-ins/redemptions", new RedeemSignInRequest(code, key ?? TestDevice.NewPoint(), Proof, "Chromium on Linux")));

    private async Task<IntrospectSessionResponse> IntrospectAsync(string session) => await IdentityHost.ReadAsync<IntrospectSessionResponse>(
        await host.InternalPostAsync("/internal/sessions/introspections", new IntrospectSessionRequest(session)));
}
