using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using RenderTrust.Client;
using RenderTrust.EndToEnd.Tests.Platform;
using static Microsoft.Playwright.Assertions;

namespace RenderTrust.Dashboard.Tests;

/// <summary>The main thing: sign in, submit by the command line, watch it live, look at the frames.</summary>
public sealed class WatchingTests(PlatformFixture platform, BrowserFixture browser)
{
    private const int Frames = 6;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_creator_signs_in_submits_watches_it_live_and_looks_at_the_frames()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        var page = visitor.Page;
        await visitor.SignInAsync(creator);
        await Expect(page.GetByText("No jobs yet")).ToBeVisibleAsync();
        await Expect(page.Locator("[data-live=live]")).ToBeVisibleAsync();

        // Nothing is touched between here and the row that says completed: the page hears of it by itself.
        var jobId = await SubmitAsync(creator, Scenes.Slow, Frames);
        var row = page.Locator($"[data-job='{jobId}']");
        await Expect(row).ToBeVisibleAsync();
        await Expect(row).ToHaveAttributeAsync("data-status", "running", new() { Timeout = 120_000 });
        await page.Keyboard.PressAsync("j");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex($"/dashboard/jobs/{jobId}$"));
        await Expect(page.Locator("[data-figure=Running]")).Not.ToHaveTextAsync("0");
        await Expect(page.Locator("[data-figure=Completed]")).ToHaveTextAsync($"{Frames} of {Frames}", new() { Timeout = 180_000 });

        var images = page.GetByRole(AriaRole.List, new() { Name = "Frames" }).Locator("img");
        await Expect(images).ToHaveCountAsync(Frames);
        var pixels = await PixelsAsync(images);
        Assert.All(pixels, frame => Assert.Equal((Scenes.Width * 10, Scenes.Height * 10), (frame.Width, frame.Height)));
        Assert.All(pixels, frame => Assert.True(frame.Colours > 50, $"A frame has {frame.Colours} colours: it is blank."));
        // The ball goes once to and fro, so that each picture but the turning points comes twice.
        Assert.InRange(pixels.Select(frame => frame.Sum).Distinct().Count(), 3, Frames);
        await MoneyIsThatOfTheBooksAsync(page, creator, jobId);
        await TheFrameOpensInFullAsync(page);
        visitor.WasContent();
    }

    [Fact]
    public async Task A_unit_tells_why_its_node_was_chosen()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Grace");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(creator);
        var jobId = await SubmitAsync(creator, Scenes.Ball, 3);
        await visitor.GoAsync($"/dashboard/jobs/{jobId}?tab=units");
        await Expect(visitor.Page.Locator("[data-unit][data-status=completed]")).ToHaveCountAsync(3, new() { Timeout = 120_000 });

        await visitor.Page.Locator("[data-unit='1']").ClickAsync();

        var panel = visitor.Page.GetByRole(AriaRole.Region, new() { Name = "Unit 1" });
        await Expect(panel.GetByText("Why this node")).ToBeVisibleAsync();
        await Expect(panel.GetByText("chosen", new() { Exact = true })).ToBeVisibleAsync();
        await Expect(panel.Locator("img")).ToBeVisibleAsync();
        await Expect(visitor.Page).ToHaveURLAsync(new Regex("unit=1"));
        await visitor.Page.Keyboard.PressAsync("Escape");
        await Expect(panel).ToBeHiddenAsync();
        visitor.WasContent();
    }

    [Fact]
    public async Task A_failed_job_says_what_happened_and_keeps_the_good_frames()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Edsger");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(creator);
        var jobId = await SubmitAsync(creator, Scenes.BreaksHalfWay, 4);
        await visitor.GoAsync($"/dashboard/jobs/{jobId}");

        await Expect(visitor.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("submit again", new() { Timeout = 180_000 });
        await Expect(visitor.Page.GetByRole(AriaRole.List, new() { Name = "Frames" }).Locator("img").First).ToBeVisibleAsync();
        visitor.WasContent();
    }

    [Fact]
    public async Task A_gateway_that_is_killed_leaves_no_gap()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Barbara");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(creator);
        var jobId = await SubmitAsync(creator, Scenes.Slow, 5);
        await visitor.GoAsync($"/dashboard/jobs/{jobId}?tab=units");
        await Expect(visitor.Page.Locator("[data-unit][data-status=leased]").First).ToBeVisibleAsync(new() { Timeout = 120_000 });

        await platform.CrashAsync("gateway");
        await Expect(visitor.Page.Locator("[data-live=offline]")).ToBeVisibleAsync();

        await Expect(visitor.Page.Locator("[data-live=live]")).ToBeVisibleAsync(new() { Timeout = 120_000 });
        await Expect(visitor.Page.Locator("[data-unit][data-status=completed]")).ToHaveCountAsync(5, new() { Timeout = 180_000 });
        await Expect(visitor.Page.Locator("[data-figure=Completed]")).ToHaveTextAsync("5 of 5");
        await platform.WaitUntilWellAsync();
    }

    [Fact]
    public async Task A_studio_sees_its_node_at_work()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Alan");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(platform.OpenStudio());
        await visitor.Page.Keyboard.PressAsync("f");
        var node = visitor.Page.Locator("[data-node=node-1]");
        await Expect(node).ToContainTextAsync("Online");
        await Expect(node).ToContainTextAsync("0 / 2");

        await SubmitAsync(creator, Scenes.Slow, 4);

        await Expect(node).ToContainTextAsync("2 / 2", new() { Timeout = 60_000 });
        await Expect(node).ToContainTextAsync("0 / 2", new() { Timeout = 120_000 });
        await Expect(node).ToContainTextAsync(new Regex("[1-9][0-9]* units"));
        visitor.WasContent();
    }

    private async Task<string> SubmitAsync(RenderTrustClient creator, string scene, int frames)
    {
        var file = Path.Combine(platform.NewFolder("scene"), "scene.pov");
        await File.WriteAllTextAsync(file, scene, Token);
        var submitted = await platform.CliAsync(creator.Profile.Folder, "submit", file, "--frames", $"{frames}", "--width", $"{Scenes.Width * 10}", "--height", $"{Scenes.Height * 10}", "--json");
        return submitted.Succeeded().Json.GetProperty("jobId").GetString()!;
    }

    private static async Task<IReadOnlyList<Pixels>> PixelsAsync(ILocator images)
    {
        var seen = new List<Pixels>();
        foreach (var image in await images.AllAsync())
        {
            await image.ScrollIntoViewIfNeededAsync();
            var told = await image.EvaluateAsync<JsonElement>(
                """
                async image => {
                  await image.decode();
                  const canvas = document.createElement('canvas');
                  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
                  const context = canvas.getContext('2d');
                  context.drawImage(image, 0, 0);
                  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
                  const colours = new Set();
                  let sum = 0;
                  for (let i = 0; i < data.length; i += 4) {
                    colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
                    sum = (sum * 31 + data[i] + data[i + 1] * 7 + data[i + 2] * 13) % 2147483647;
                  }
                  return { width: canvas.width, height: canvas.height, colours: colours.size, sum };
                }
                """);
            seen.Add(new Pixels(told.GetProperty("width").GetInt32(), told.GetProperty("height").GetInt32(), told.GetProperty("colours").GetInt32(), told.GetProperty("sum").GetInt64()));
        }

        return seen;
    }

    private static async Task MoneyIsThatOfTheBooksAsync(IPage page, RenderTrustClient creator, string jobId)
    {
        var money = (await creator.Jobs.GetSummaryAsync(new(Guid.Parse(jobId)), Token)).Money;
        foreach (var (name, amount) in new[] { ("Held at submission", money.HeldMicrocredits), ("Charged", money.ChargedMicrocredits), ("Released", money.ReleasedMicrocredits) })
        {
            var shown = decimal.Parse((await page.Locator($"[data-amount='{name}']").InnerTextAsync()).Replace(" cr", "", StringComparison.Ordinal), System.Globalization.NumberStyles.Number, System.Globalization.CultureInfo.InvariantCulture);
            Assert.InRange(shown, (amount / 1_000_000m) - 0.05m, (amount / 1_000_000m) + 0.05m);
        }

        Assert.True(money.ChargedMicrocredits > 0);
    }

    private static async Task TheFrameOpensInFullAsync(IPage page)
    {
        await page.Locator("[data-frame='0']").ClickAsync();
        var full = page.GetByRole(AriaRole.Dialog);
        await Expect(full.GetByText("verified")).ToBeVisibleAsync();
        await Expect(full.GetByText($"{Scenes.Width * 10} × {Scenes.Height * 10}")).ToBeVisibleAsync();
        await Expect(full.GetByText("unit 0")).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(full.GetByText("unit 1")).ToBeVisibleAsync();
        var download = await page.RunAndWaitForDownloadAsync(() => full.GetByRole(AriaRole.Link, new() { Name = "Download" }).ClickAsync());
        Assert.EndsWith(".png", download.SuggestedFilename, StringComparison.Ordinal);
        Assert.Equal((Scenes.Width * 10, Scenes.Height * 10), Png.SizeOf(await download.PathAsync()));
        await page.Keyboard.PressAsync("Escape");
        await Expect(full).ToBeHiddenAsync();
    }

    private sealed record Pixels(int Width, int Height, int Colours, long Sum);
}
