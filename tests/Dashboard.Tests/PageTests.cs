using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using RenderTrust.Client;
using RenderTrust.EndToEnd.Tests.Platform;
using static Microsoft.Playwright.Assertions;

namespace RenderTrust.Dashboard.Tests;

/// <summary>How the pages look and feel: themes, keyboard, reading aids, small windows, and the sealing code inside a real browser.</summary>
public sealed class PageTests(PlatformFixture platform, BrowserFixture browser)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task All_vectors_of_the_sealing_formats_agree_inside_the_browser()
    {
        await platform.StartAsync();
        var pages = Path.Combine(Repository.Root, "gateway", "dashboard");
        (await Programs.RunAsync("bash", ["-c", "./build tools && . ./node-path && npm run --silent build:vectors"], pages, null, TimeSpan.FromMinutes(5), Token)).Succeeded();
        var vectors = Directory.GetFiles(Path.Combine(Repository.Root, "docs", "formats", "vectors"), "*.json").ToDictionary(file => Path.GetFileName(file), file => JsonElement.Parse(File.ReadAllText(file)));
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.GoAsync("/dashboard/");

        // The debugger's way in, which the page's content policy does not rule.
        await visitor.Page.EvaluateAsync(await File.ReadAllTextAsync(Path.Combine(pages, "node_modules", ".vectors", "vectors.js"), Token) + "; globalThis.vectors = vectors; undefined");
        var results = await visitor.Page.EvaluateAsync<JsonElement>($"() => vectors.checkVectors({JsonSerializer.Serialize(vectors)})");

        var failed = results.EnumerateArray().Where(result => result.TryGetProperty("failure", out _)).Select(result => result.ToString()).ToList();
        Assert.Empty(failed);
        Assert.True(results.GetArrayLength() >= 19, $"{results.GetArrayLength()} vectors ran.");
    }

    [Fact]
    public async Task The_theme_follows_the_system_until_somebody_chooses_one()
    {
        await platform.StartAsync();
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway, ColorScheme.Dark);
        await visitor.SignInAsync(await platform.NewCreatorAsync("Ada"));
        var page = visitor.Page;

        await Wait.ForAsync(() => LightnessAsync(page), lightness => lightness < 0.2);
        await page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Light });
        await Wait.ForAsync(() => LightnessAsync(page), lightness => lightness > 0.8);
        await page.Keyboard.PressAsync("t");
        await page.Keyboard.PressAsync("t");
        await Wait.ForAsync(() => LightnessAsync(page), lightness => lightness < 0.2);
        await page.ReloadAsync();
        await Expect(page.GetByRole(AriaRole.Button, new() { Name = "Theme: dark (t)" })).ToBeVisibleAsync();
        await Wait.ForAsync(() => LightnessAsync(page), lightness => lightness < 0.2);
        visitor.WasContent();
    }

    [Fact]
    public async Task The_keyboard_is_enough()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        var first = await EndedJobAsync(creator, 1);
        var second = await EndedJobAsync(creator, 2);
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(creator);
        var page = visitor.Page;
        await Expect(page.Locator("[data-row]")).ToHaveCountAsync(2);

        await page.Keyboard.PressAsync("?");
        await Expect(page.GetByRole(AriaRole.Dialog, new() { Name = "Keyboard" })).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.GetByRole(AriaRole.Dialog, new() { Name = "Keyboard" })).ToBeHiddenAsync();
        await page.Keyboard.PressAsync("/");
        await page.Keyboard.TypeAsync(first[^6..]);
        await Expect(page.Locator("[data-row]")).ToHaveCountAsync(1);
        await Expect(page).ToHaveURLAsync(new Regex($"q={first[^6..]}"));
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.Locator("[data-row]")).ToHaveCountAsync(2);
        await page.Keyboard.PressAsync("j");
        await page.Keyboard.PressAsync("j");
        await page.Keyboard.PressAsync("k");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex($"/jobs/{second}$"));
        await page.Keyboard.PressAsync("2");
        await Expect(page.Locator("[data-unit]")).ToHaveCountAsync(2);
        await page.Keyboard.PressAsync("j");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Region, new() { Name = "Unit 0" })).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("Escape");
        await page.Keyboard.PressAsync("Escape");
        await Expect(page).ToHaveURLAsync(new Regex("/dashboard/jobs$"));
        visitor.WasContent();
    }

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Every_page_passes_axe(ColorScheme theme)
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway, theme);
        var page = visitor.Page;
        await visitor.GoAsync("/dashboard/");
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        await visitor.IsAccessibleAsync();
        await visitor.SignInAsync(creator);
        await Expect(page.GetByText("No jobs yet")).ToBeVisibleAsync();
        await visitor.IsAccessibleAsync();

        var job = await EndedJobAsync(creator, 3);
        await visitor.GoAsync("/dashboard/jobs");
        await Expect(page.Locator("[data-row]")).ToHaveCountAsync(1);
        await visitor.IsAccessibleAsync();
        await page.Locator("[data-row]").ClickAsync();
        await Expect(page.Locator("[data-frame] img")).ToHaveCountAsync(3);
        await visitor.IsAccessibleAsync();
        await visitor.GoAsync($"/dashboard/jobs/{job}?tab=units&unit=0");
        await Expect(page.GetByText("Why this node")).ToBeVisibleAsync();
        await visitor.IsAccessibleAsync();
        await page.Keyboard.PressAsync("Escape");
        await page.Keyboard.PressAsync("?");
        await visitor.IsAccessibleAsync();
        await visitor.GoAsync("/dashboard/nowhere");
        await Expect(page.GetByText("Not found")).ToBeVisibleAsync();
        await visitor.IsAccessibleAsync();
        visitor.WasContent();
    }

    [Theory]
    [InlineData(390)]
    [InlineData(820)]
    public async Task Small_windows_need_no_scrolling_sideways(int width)
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        var job = await EndedJobAsync(creator, 3);
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway, width: width, height: 844);
        await visitor.SignInAsync(creator);

        foreach (var path in new[] { "/dashboard/jobs", $"/dashboard/jobs/{job}", $"/dashboard/jobs/{job}?tab=units&unit=1", "/dashboard/fleet" })
        {
            await visitor.GoAsync(path);
            await Expect(visitor.Page.Locator("[data-live=live]")).ToBeVisibleAsync();
            Assert.True(await visitor.Page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth <= innerWidth"), $"{path} is wider than {width}");
        }
    }

    [Fact]
    public async Task A_browser_without_the_key_shows_everything_but_the_frames_and_takes_the_key_file()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        var job = await EndedJobAsync(creator, 1);
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(creator);
        await visitor.Page.EvaluateAsync("() => new Promise(resolve => { indexedDB.deleteDatabase('rendertrust').onsuccess = resolve; })");
        await visitor.GoAsync($"/dashboard/jobs/{job}");
        await Expect(visitor.Page.GetByText("This browser has no key to open frames with")).ToBeVisibleAsync();
        await Expect(visitor.Page.Locator("[data-figure=Completed]")).ToHaveTextAsync("1 of 1");
        await Expect(visitor.Page.Locator("[data-frame] img")).ToHaveCountAsync(0);

        await visitor.Page.GetByLabel("Key file", new() { Exact = true }).SetInputFilesAsync(Path.Combine(creator.Profile.Folder, "encryption.key.json"));

        await Expect(visitor.Page.Locator("[data-frame] img")).ToHaveCountAsync(1);
        visitor.WasContent();
    }

    [Fact]
    public async Task What_somebody_changed_in_the_store_is_not_shown()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        var job = await EndedJobAsync(creator, 2);
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(creator);

        // What a platform that lies would do: hand out one unit's sealed frame as the other's.
        await platform.SqlAsync<int>(
            """
            UPDATE scheduler.job_events e SET body = jsonb_set(e.body, '{outputs,0}', other.body -> 'outputs' -> 0 || jsonb_build_object('keyedHash', e.body -> 'outputs' -> 0 -> 'keyedHash'))
            FROM scheduler.job_events other JOIN scheduler.jobs j USING (job_id)
            WHERE j.client_job_id = $1 AND e.job_id = other.job_id AND e.kind = 'unitCompleted' AND other.kind = 'unitCompleted'
                AND (e.body ->> 'unitIndex')::int = 0 AND (other.body ->> 'unitIndex')::int = 1
            RETURNING 1
            """,
            Guid.Parse(job));
        await visitor.GoAsync($"/dashboard/jobs/{job}");

        await Expect(visitor.Page.GetByText("This output is not what its node reported")).ToBeVisibleAsync();
        await Expect(visitor.Page.Locator("[data-frame] img")).ToHaveCountAsync(1);
    }

    internal static async Task<string> EndedJobAsync(RenderTrustClient creator, int frames)
    {
        var draft = await Scenes.DraftAsync(creator, Scenes.Ball, frames, Token);
        await foreach (var update in creator.Jobs.SubmitAndWatchAsync(draft, null, Token))
        {
            if (update.IsFinal)
            {
                break;
            }
        }

        return draft.JobId.ToString();
    }

    private static Task<double> LightnessAsync(IPage page) => page.EvaluateAsync<double>(
        "() => { const [r, g, b] = getComputedStyle(document.documentElement).backgroundColor.match(/[0-9.]+/g).map(Number); return (r + g + b) / 765; }");
}
