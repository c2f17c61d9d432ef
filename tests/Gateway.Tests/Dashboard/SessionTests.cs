using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.Dashboard;

public sealed class SessionTests : IAsyncLifetime
{
    private static readonly RedeemSignInRequest Link = new(new string('c', 43), new string('k', 87), new string('p', 43), "Chromium on Linux");
    private EdgeHost _host = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _host = await EdgeHost.StartAsync();

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task A_code_becomes_a_cookie_and_never_part_of_an_answer()
    {
        using var browser = new BrowserClient(_host);
        _host.Sidecar.Redemption = new RedeemSignInResponse(RedeemOutcome.SignedIn, Guid.NewGuid(), "rts_" + new string('s', 43), DateTimeOffset.UtcNow.AddHours(12));

        using var response = await browser.SendAsync(HttpMethod.Post, "/dashboard/api/session", Json(Link));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.DoesNotContain("rts_", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        var cookie = Assert.Single(response.Headers.GetValues("Set-Cookie"));
        Assert.StartsWith($"{browser.CookieName}=rts_", cookie, StringComparison.Ordinal);
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("path=/dashboard", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(Link, Assert.Single(_host.Sidecar.Redemptions));
    }

    [Fact]
    public async Task Where_the_platform_is_called_over_https_the_cookie_is_for_https_only()
    {
        await using var host = await EdgeHost.StartAsync(("Gateway:PublicUrl", "https://render.example"), ("Gateway:ListenUrl", $"http://127.0.0.1:{RenderTrust.TestKit.TestPorts.Free()}"));
        host.Sidecar.Redemption = new RedeemSignInResponse(RedeemOutcome.SignedIn, Guid.NewGuid(), "rts_" + new string('s', 43), DateTimeOffset.UtcNow.AddHours(12));
        using var http = new HttpClient { BaseAddress = new Uri(host.Settings["Gateway:ListenUrl"]) };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/dashboard/api/session") { Content = Json(Link), Headers = { { "Origin", "https://render.example" } } };

        using var response = await http.SendAsync(request, Token);

        Assert.Contains("; secure", Assert.Single(response.Headers.GetValues("Set-Cookie")), StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData(RedeemOutcome.UnknownCode, HttpStatusCode.Forbidden)]
    [InlineData(RedeemOutcome.Expired, HttpStatusCode.Gone)]
    [InlineData(RedeemOutcome.TooManySessions, HttpStatusCode.Conflict)]
    public async Task A_refused_link_says_why_and_what_to_do(RedeemOutcome outcome, HttpStatusCode status)
    {
        using var browser = new BrowserClient(_host);
        _host.Sidecar.Redemption = new RedeemSignInResponse(outcome);

        using var response = await browser.SendAsync(HttpMethod.Post, "/dashboard/api/session", Json(Link));

        Assert.Equal(status, response.StatusCode);
        Assert.Contains("rendertrust dashboard", await DetailAsync(response), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Set-Cookie"));
    }

    [Fact]
    public async Task A_malformed_link_never_reaches_identity()
    {
        using var browser = new BrowserClient(_host);

        using var response = await browser.SendAsync(HttpMethod.Post, "/dashboard/api/session", Json(Link with { Code = "short" }));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Empty(_host.Sidecar.Redemptions);
    }

    [Fact]
    public async Task The_cookie_counts_on_the_dashboards_routes_and_nowhere_else()
    {
        using var browser = BrowserClient.SignedIn(_host, TenantId.New());

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/session"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/v1/jobs"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/v1/credits"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(browser, HttpMethod.Get, "/v1/jobs"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(browser, HttpMethod.Get, "/v1/identity/me"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(browser, HttpMethod.Post, "/a2a"));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, await StatusAsync(browser, HttpMethod.Post, "/dashboard/api/v1/credits/top-ups"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/v1/identity/api-keys"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/v1/modules"));
    }

    [Fact]
    public async Task A_service_gets_a_plain_token_under_its_own_path_and_never_the_cookie()
    {
        using var browser = BrowserClient.SignedIn(_host, TenantId.New());

        await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/v1/jobs/some?units=none");

        var forwarded = Assert.Single(_host.Sidecar.Forwards);
        Assert.Equal((Apps.Scheduler, "GET", "/v1/jobs/some?units=none"), (forwarded.App, forwarded.Method, forwarded.PathAndQuery));
        Assert.StartsWith("Bearer ey", forwarded.Headers["Authorization"], StringComparison.Ordinal);
        Assert.False(forwarded.Headers.ContainsKey("Cookie"));
    }

    [Fact]
    public async Task Signing_out_ends_the_session_at_once_and_takes_the_cookie_back()
    {
        using var browser = BrowserClient.SignedIn(_host, TenantId.New());
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/session"));

        using var response = await browser.SendAsync(HttpMethod.Delete, "/dashboard/api/session");

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Contains("expires=Thu, 01 Jan 1970", Assert.Single(response.Headers.GetValues("Set-Cookie")), StringComparison.OrdinalIgnoreCase);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/session"));
        Assert.Empty(_host.Sidecar.Sessions);
    }

    [Fact]
    public async Task A_session_that_was_ended_elsewhere_is_refused_within_seconds()
    {
        using var browser = BrowserClient.SignedIn(_host, TenantId.New());
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(browser, HttpMethod.Get, "/dashboard/api/session"));

        _host.Sidecar.Sessions.Clear();

        await Wait.ForAsync(() => StatusAsync(browser, HttpMethod.Get, "/dashboard/api/session"), status => status == HttpStatusCode.Unauthorized);
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("http://127.0.0.1:1")]
    [InlineData("null")]
    [InlineData(null)]
    public async Task Writing_from_another_origin_is_refused_before_anything_happens(string? origin)
    {
        using var browser = BrowserClient.SignedIn(_host, TenantId.New());

        using var signOut = await browser.SendAsync(HttpMethod.Delete, "/dashboard/api/session", origin: origin);
        using var signIn = await browser.SendAsync(HttpMethod.Post, "/dashboard/api/session", Json(Link), origin: origin);

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (signOut.StatusCode, signIn.StatusCode));
        Assert.Contains("Origin", await DetailAsync(signOut), StringComparison.Ordinal);
        Assert.Single(_host.Sidecar.Sessions);
        Assert.Empty(_host.Sidecar.Redemptions);
    }

    [Theory]
    [InlineData("same-site")]
    [InlineData("cross-site")]
    public async Task Reading_from_a_page_of_another_origin_is_refused(string site)
    {
        using var browser = BrowserClient.SignedIn(_host, TenantId.New());

        using var response = await browser.SendAsync(HttpMethod.Get, "/dashboard/api/v1/jobs", fetchSite: site);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Empty(_host.Sidecar.Forwards);
    }

    [Fact]
    public async Task Loopback_names_of_the_same_port_are_the_same_gateway()
    {
        using var browser = BrowserClient.SignedIn(_host, TenantId.New());

        using var response = await browser.SendAsync(HttpMethod.Delete, "/dashboard/api/session", origin: $"http://localhost:{_host.Gateway.Port}");

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
    }

    private static JsonContent Json<T>(T value) => JsonContent.Create(value, options: WireJson.Options);

    private static async Task<HttpStatusCode> StatusAsync(BrowserClient browser, HttpMethod method, string path)
    {
        using var response = await browser.SendAsync(method, path);
        return response.StatusCode;
    }

    private static async Task<string> DetailAsync(HttpResponseMessage response) => (await response.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("detail").GetString()!;
}
