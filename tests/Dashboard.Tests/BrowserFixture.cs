using Microsoft.Playwright;
using RenderTrust.Dashboard.Tests;
using RenderTrust.EndToEnd.Tests.Platform;

[assembly: AssemblyFixture(typeof(BrowserFixture))]

namespace RenderTrust.Dashboard.Tests;

/// <summary>One real Chromium for all tests; each gets a context of its own, as a fresh profile.</summary>
public sealed class BrowserFixture : IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";

    private IPlaywright? _playwright;

    internal IBrowser Browser { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.True(File.Exists(Chromium), $"{Chromium} is not there. Run ./rendertrust setup to install what is missing.");
        Assert.True(
            File.Exists(Path.Combine(Repository.Root, "gateway", "dashboard", "dist", "index.html")), "The dashboard is not built. Run gateway/dashboard/build.");
        _playwright = await Playwright.CreateAsync();
        // Generous: it bounds a hanging test and is no claim about speed.
        Assertions.SetDefaultExpectTimeout(60_000);
        Browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = Chromium,
            // As root, and in containers, Chromium's own sandbox cannot be set up.
            Args = ["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"],
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (Browser is not null)
        {
            await Browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }
}
