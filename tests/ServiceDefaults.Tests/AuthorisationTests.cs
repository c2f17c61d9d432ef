using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults.Tests;

public sealed class AuthorisationTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_good_token_names_the_tenant()
    {
        await using var host = await ServiceHost.StartAsync();
        var tenant = TenantId.New();

        var response = await host.SendAsync(HttpMethod.Get, "/v1/whoami", host.Identity.Token(tenant: tenant));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal($"\"{tenant}\"", await response.Content.ReadAsStringAsync(Token));
    }

    [Fact]
    public async Task Without_a_token_the_answer_is_a_challenge_with_a_remedy()
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Get, "/v1/whoami");

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
        Assert.Contains("/v1/identity/token", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tokens_that_are_garbage_expired_unsigned_or_of_another_key_are_refused()
    {
        await using var host = await ServiceHost.StartAsync();
        using var stranger = new FakeIdentity();
        var good = host.Identity.Token();
        var unsigned = Base64("""{"alg":"none","typ":"at+jwt","kid":"k1"}""") + "." + good.Split('.')[1] + ".";
        string[] bad =
        [
            "x", "a.b.c", unsigned, stranger.Token(), stranger.Token(kid: "k2"),
            host.Identity.Token(at: DateTimeOffset.UtcNow.AddHours(-25)), host.Identity.Token(at: DateTimeOffset.UtcNow.AddHours(1)),
            good[..^4] + "AAAA",
        ];

        foreach (var token in bad)
        {
            var response = await host.SendAsync(HttpMethod.Get, "/v1/whoami", token);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Contains("invalid_token", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_missing_scope_is_named()
    {
        await using var host = await ServiceHost.StartAsync();

        var allowed = await host.SendAsync(HttpMethod.Get, "/v1/credits", host.Identity.Token());
        var refused = await host.SendAsync(HttpMethod.Get, "/v1/modules", host.Identity.Token());

        Assert.Equal(HttpStatusCode.OK, allowed.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Contains("lacks scope 'modules'", System.Text.RegularExpressions.Regex.Unescape(await refused.Content.ReadAsStringAsync(Token)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_revoked_device_is_refused_after_the_next_poll()
    {
        await using var host = await ServiceHost.StartAsync();
        var device = Guid.CreateVersion7();
        var token = host.Identity.Token(device);
        Assert.Equal(HttpStatusCode.OK, (await host.SendAsync(HttpMethod.Get, "/v1/whoami", token)).StatusCode);

        host.Identity.Revocations = new RevocationList(2, [device], [], []);

        await WaitAsync(async () => (await host.SendAsync(HttpMethod.Get, "/v1/whoami", token)).StatusCode == HttpStatusCode.Unauthorized, "401 for the revoked device");
    }

    [Fact]
    public async Task Unknown_key_ids_do_not_become_a_call_each()
    {
        await using var host = await ServiceHost.StartAsync();

        for (var count = 0; count < 20; count++)
        {
            await host.SendAsync(HttpMethod.Get, "/v1/whoami", host.Identity.Token(kid: $"k{count + 2}"));
        }

        Assert.InRange(host.Identity.KeyQuestions, 1, 2);
    }

    [Fact]
    public async Task While_identity_is_away_and_nothing_is_known_the_answer_is_503_and_not_401()
    {
        await using var host = await ServiceHost.StartAsync();
        host.Identity.Away = true;

        var response = await host.SendAsync(HttpMethod.Get, "/v1/whoami", host.Identity.Token());

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
    }

    [Theory]
    [InlineData("/internal/books", "secret", "ledger", HttpStatusCode.OK)]
    [InlineData("/internal/books", "secret", null, HttpStatusCode.OK)]
    [InlineData("/internal/books", "wrong", "ledger", HttpStatusCode.Forbidden)]
    [InlineData("/internal/books", null, "ledger", HttpStatusCode.Forbidden)]
    [InlineData("/internal/holds", "secret", "scheduler", HttpStatusCode.OK)]
    [InlineData("/internal/holds", "secret", "gateway", HttpStatusCode.Forbidden)]
    [InlineData("/internal/holds", "secret", null, HttpStatusCode.Forbidden)]
    [InlineData("/internal/topic", "secret", null, HttpStatusCode.OK)]
    [InlineData("/internal/topic", "secret", "scheduler", HttpStatusCode.Forbidden)]
    [InlineData("/internal/forgotten", "secret", "scheduler", HttpStatusCode.Forbidden)]
    [InlineData("/dapr/subscribe", "secret", null, HttpStatusCode.OK)]
    [InlineData("/dapr/subscribe", null, null, HttpStatusCode.Forbidden)]
    [InlineData("/healthz", null, null, HttpStatusCode.OK)]
    public async Task Internal_routes_open_for_the_right_token_and_caller_only(string path, string? apiToken, string? caller, HttpStatusCode expected)
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Get, path, apiToken: apiToken, caller: caller);

        Assert.Equal(expected, response.StatusCode);
        Assert.Equal(expected == HttpStatusCode.Forbidden, (await response.Content.ReadAsStringAsync(Token)).Contains("\"detail\":", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_users_token_does_not_open_an_internal_route()
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Get, "/internal/books", host.Identity.Token());

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task In_development_without_an_api_token_loopback_is_accepted()
    {
        await using var host = await ServiceHost.StartAsync(new() { ["APP_API_TOKEN"] = null, ["RENDERTRUST_ENVIRONMENT"] = "Development" });

        Assert.Equal(HttpStatusCode.OK, (await host.SendAsync(HttpMethod.Get, "/internal/books")).StatusCode);
        Assert.True(host.Services.GetRequiredService<IHostEnvironment>().IsDevelopment());
        Assert.True(host.Services.GetRequiredService<IWebHostEnvironment>().IsDevelopment());
    }

    [Fact]
    public void Outside_development_a_missing_api_token_stops_the_start()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["APP_PORT"] = "5102" }).Build();

        var exception = Assert.Throws<InvalidOperationException>(() => ServiceApp.Read("ledger", configuration));

        Assert.Contains("APP_API_TOKEN", exception.Message, StringComparison.Ordinal);
    }

    internal static async Task WaitAsync(Func<Task<bool>> condition, string what)
    {
        var end = DateTime.UtcNow.AddSeconds(20);
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < end, $"Waited 20 s for: {what}");
            await Task.Delay(20);
        }
    }

    private static string Base64(string text) => System.Buffers.Text.Base64Url.EncodeToString(System.Text.Encoding.UTF8.GetBytes(text));
}
