using System.Net;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.Dashboard;

public sealed class ServeTests : IAsyncLifetime
{
    private readonly DirectoryInfo _pages = Directory.CreateTempSubdirectory("rendertrust-pages-");
    private EdgeHost _host = null!;
    private BrowserClient _browser = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(_pages.FullName, "index.html"), "<p>the page</p>", Token);
        _pages.CreateSubdirectory("assets");
        await File.WriteAllTextAsync(Path.Combine(_pages.FullName, "assets", "index-abc.js"), "run()", Token);
        await File.WriteAllTextAsync(Path.Combine(_pages.Parent!.FullName, "rendertrust-outside.txt"), "not for the web", Token);
        _host = await EdgeHost.StartAsync(("Gateway:Dashboard:Directory", _pages.FullName));
        _browser = new BrowserClient(_host);
    }

    public async ValueTask DisposeAsync()
    {
        _browser.Dispose();
        await _host.DisposeAsync();
        _pages.Delete(recursive: true);
    }

    [Theory]
    [InlineData("/dashboard")]
    [InlineData("/dashboard/")]
    [InlineData("/dashboard/jobs/01234567-89ab-7cde-8f01-23456789abcd?tab=units")]
    public async Task Every_address_is_the_one_page_and_is_asked_for_again_each_time(string path)
    {
        using var response = await _browser.SendAsync(HttpMethod.Get, path);

        Assert.Equal("<p>the page</p>", await response.Content.ReadAsStringAsync(Token));
        Assert.Equal("text/html", response.Content.Headers.ContentType?.MediaType);
        Assert.True(response.Headers.CacheControl!.NoCache);
        Assert.NotNull(response.Headers.ETag);
    }

    [Fact]
    public async Task Files_with_a_hash_in_their_name_are_kept_for_good()
    {
        using var script = await _browser.SendAsync(HttpMethod.Get, "/dashboard/assets/index-abc.js");
        using var old = await _browser.SendAsync(HttpMethod.Get, "/dashboard/assets/index-old.js");

        Assert.Equal("run()", await script.Content.ReadAsStringAsync(Token));
        Assert.Contains("immutable", script.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, old.StatusCode);
    }

    [Fact]
    public async Task The_content_policy_lets_nothing_in_from_elsewhere_and_nothing_run_inline()
    {
        using var response = await _browser.SendAsync(HttpMethod.Get, "/dashboard/");

        var policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("script-src 'self'", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("http", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
    }

    [Theory]
    [InlineData("/dashboard/../rendertrust-outside.txt")]
    [InlineData("/dashboard/..%2frendertrust-outside.txt")]
    [InlineData("/dashboard/assets/..%2f..%2frendertrust-outside.txt")]
    public async Task Nothing_outside_the_folder_is_served(string path)
    {
        using var response = await _browser.SendAsync(HttpMethod.Get, path);

        Assert.DoesNotContain("not for the web", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_front_door_leads_to_the_dashboard()
    {
        using var response = await _browser.SendAsync(HttpMethod.Get, "/");

        Assert.Equal((HttpStatusCode.Found, "/dashboard/"), (response.StatusCode, response.Headers.Location?.ToString()));
    }

    [Fact]
    public async Task Without_built_pages_the_answer_says_how_to_build_them()
    {
        await using var host = await EdgeHost.StartAsync(("Gateway:Dashboard:Directory", Path.Combine(_pages.FullName, "nowhere")));
        using var browser = new BrowserClient(host);

        using var response = await browser.SendAsync(HttpMethod.Get, "/dashboard/jobs");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("./rendertrust build", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }
}
