using System.Collections.Concurrent;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using RenderTrust.Client;
using static Microsoft.Playwright.Assertions;

namespace RenderTrust.Dashboard.Tests;

/// <summary>Somebody at a fresh browser. What the page said on its console and whom it called is kept and judged at the end.</summary>
internal sealed class Visitor : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _complaints = new();
    private readonly ConcurrentQueue<string> _elsewhere = new();

    private Visitor(IBrowserContext context, IPage page, Uri gateway)
    {
        (Context, Page, Gateway) = (context, page, gateway);
        page.Console += (_, message) =>
        {
            // That a request was refused is what some tests are about; the browser notes it by itself.
            if (message.Type is "error" or "warning" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
            {
                _complaints.Enqueue(message.Text);
            }
        };
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.Request += (_, request) =>
        {
            var url = new Uri(request.Url);
            if (url.Scheme is "http" or "https" && url.Authority != gateway.Authority)
            {
                _elsewhere.Enqueue(request.Url);
            }
        };
    }

    public IBrowserContext Context { get; }

    public IPage Page { get; }

    public Uri Gateway { get; }

    public static async Task<Visitor> ArriveAsync(BrowserFixture browser, Uri gateway, ColorScheme theme = ColorScheme.Light, int width = 1440, int height = 900)
    {
        var context = await browser.Browser.NewContextAsync(new BrowserNewContextOptions
        {
            ColorScheme = theme,
            ViewportSize = new ViewportSize { Width = width, Height = height },
            ReducedMotion = ReducedMotion.Reduce,
        });
        context.SetDefaultTimeout(60_000);
        return new Visitor(context, await context.NewPageAsync(), gateway);
    }

    /// <summary>By the real command of that creator, as a person would.</summary>
    public async Task SignInAsync(RenderTrustClient creator)
    {
        await using var command = await SignInCommand.StartAsync(creator.Profile.Folder);
        await Page.GotoAsync(command.Link.ToString());
        await Expect(Page.GetByRole(AriaRole.Heading, new() { Name = "Jobs", Exact = true })).ToBeVisibleAsync(new() { Timeout = 60_000 });
        var (exitCode, output) = await command.EndAsync();
        Assert.True(exitCode == 0, $"The command ended with {exitCode}: {output}");
        Assert.Contains("Chromium on Linux", output, StringComparison.Ordinal);
    }

    public Task GoAsync(string path) => Page.GotoAsync(new Uri(Gateway, path).ToString());

    /// <summary>What axe finds against WCAG 2 A and AA: names, roles, contrast and more.</summary>
    public async Task IsAccessibleAsync()
    {
        var found = await Page.RunAxe(new AxeRunOptions { RunOnly = new RunOnlyOptions { Type = "tag", Values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] } });
        var told = found.Violations.Select(rule => $"{rule.Id}: {rule.Help}\n  {string.Join("\n  ", rule.Nodes.Select(node => $"{node.Target} {node.Any.FirstOrDefault()?.Message}").Take(5))}");
        Assert.True(found.Violations.Length == 0, string.Join('\n', told));
    }

    /// <summary>For docs/images, on demand only: RENDERTRUST_SCREENSHOTS names the folder.</summary>
    public async Task PhotographAsync(string name)
    {
        if (Environment.GetEnvironmentVariable("RENDERTRUST_SCREENSHOTS") is { Length: > 0 } folder)
        {
            await Page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, name + ".png"), Animations = ScreenshotAnimations.Disabled });
        }
    }

    /// <summary>Nothing was complained about, and nothing was fetched from anywhere else.</summary>
    public void WasContent()
    {
        Assert.Empty(_complaints);
        Assert.Empty(_elsewhere);
    }

    public async ValueTask DisposeAsync() => await Context.DisposeAsync();
}
