using Microsoft.Playwright;
using RenderTrust.Client;
using RenderTrust.EndToEnd.Tests.Platform;
using static Microsoft.Playwright.Assertions;

namespace RenderTrust.Dashboard.Tests;

/// <summary>
/// Makes the pictures of docs/images, over jobs of the example scene. Only when asked for, since pictures differ from machine to machine:
/// RENDERTRUST_SCREENSHOTS=docs/images dotnet RenderTrust.Dashboard.Tests.dll --explicit only
/// </summary>
public sealed class TourTests(PlatformFixture platform, BrowserFixture browser)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static string Example => Path.Combine(Repository.Root, "edge", "modules", "povray", "examples", "storyboard", "storyboard.pov");

    [Fact(Explicit = true)]
    public async Task The_pages_are_photographed()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada Lovelace", credits: 500);
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway, width: 1360, height: 850);
        var page = visitor.Page;
        await visitor.GoAsync("/dashboard/");
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        await visitor.PhotographAsync("dashboard-sign-in");

        await RunAsync(creator, 4, Example);
        var broken = Path.Combine(platform.NewFolder("scene"), "lamp.pov");
        await File.WriteAllTextAsync(broken, Scenes.BreaksHalfWay, Token);
        await RunAsync(creator, 8, broken);
        await RunAsync(creator, 4, Example);
        var canceled = await SubmitAsync(creator, 240, Example);
        await creator.Jobs.CancelAsync(canceled.TaskId, Token);
        await visitor.SignInAsync(creator);
        var live = (await SubmitAsync(creator, 24, Example)).JobId;
        await Expect(page.Locator($"[data-job='{live}'][data-status=running]")).ToBeVisibleAsync(new() { Timeout = 120_000 });
        await page.WaitForFunctionAsync($"() => Number(document.querySelector(\"[data-job='{live}'] [role=progressbar]\").ariaValueNow) >= 7", null, new() { Timeout = 600_000 });
        await visitor.PhotographAsync("dashboard-jobs");

        await page.Locator($"[data-job='{live}'] a").ClickAsync();
        await Expect(page.Locator("[data-frame] img")).Not.ToHaveCountAsync(0);
        await page.WaitForFunctionAsync("() => document.querySelectorAll('[data-frame] img').length >= 9", null, new() { Timeout = 600_000 });
        await visitor.PhotographAsync("dashboard-job");
        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
        await visitor.PhotographAsync("dashboard-job-dark");
        await visitor.GoAsync($"/dashboard/jobs/{live}?tab=units&unit=3");
        await Expect(page.GetByText("Why this node")).ToBeVisibleAsync();
        await Expect(page.GetByRole(AriaRole.Region, new() { Name = "Unit 3" }).Locator("img")).ToBeVisibleAsync();
        await visitor.PhotographAsync("dashboard-unit-dark");
        await visitor.GoAsync("/dashboard/jobs");
        await Expect(page.Locator("[data-row]")).ToHaveCountAsync(5);
        await visitor.PhotographAsync("dashboard-jobs-dark");
        await page.Locator("[data-status=failed] a").ClickAsync();
        await Expect(page.Locator("[data-frame] img")).Not.ToHaveCountAsync(0);
        await visitor.PhotographAsync("dashboard-failed-dark");
        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
        await visitor.GoAsync($"/dashboard/jobs/{live}");
        await page.Locator("[data-frame='3'] img").WaitForAsync();
        await page.Keyboard.PressAsync("?");
        await visitor.PhotographAsync("dashboard-keys");
        await page.Keyboard.PressAsync("Escape");
        await page.Locator("[data-frame='3']").ClickAsync();
        await Expect(page.GetByText("verified")).ToBeVisibleAsync();
        await visitor.PhotographAsync("dashboard-frame");

        await using var small = await Visitor.ArriveAsync(browser, platform.Gateway, width: 390, height: 844);
        await small.SignInAsync(creator);
        await Expect(small.Page.Locator("[data-row]")).ToHaveCountAsync(5);
        await small.PhotographAsync("dashboard-small-jobs");
        await small.GoAsync($"/dashboard/jobs/{live}");
        await small.Page.Locator("[data-frame='3'] img").WaitForAsync();
        await small.PhotographAsync("dashboard-small-job");

        await using var owner = await Visitor.ArriveAsync(browser, platform.Gateway, width: 1360, height: 850);
        await owner.SignInAsync(platform.OpenStudio());
        await owner.GoAsync("/dashboard/fleet");
        await Expect(owner.Page.Locator("[data-node=node-1]")).ToBeVisibleAsync();
        await owner.PhotographAsync("dashboard-fleet");
    }

    private async Task RunAsync(RenderTrustClient creator, int frames, string scene)
    {
        var job = await SubmitAsync(creator, frames, scene);
        await foreach (var update in creator.Jobs.WatchAsync(job.TaskId, Token))
        {
            if (update.IsFinal)
            {
                break;
            }
        }
    }

    private async Task<(string JobId, string TaskId)> SubmitAsync(RenderTrustClient creator, int frames, string scene)
    {
        var answer = (await platform.CliAsync(creator.Profile.Folder, "submit", scene, "--frames", $"{frames}", "--width", "640", "--height", "360", "--max-unit-seconds", "600", "--json")).Succeeded().Json;
        return (answer.GetProperty("jobId").GetString()!, answer.GetProperty("taskId").GetString()!);
    }
}
