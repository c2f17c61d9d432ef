using System.Net;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using RenderTrust.EndToEnd.Tests.Platform;
using static Microsoft.Playwright.Assertions;

namespace RenderTrust.Dashboard.Tests;

/// <summary>Who gets in, with what, and what is kept where.</summary>
public sealed class SignInTests(PlatformFixture platform, BrowserFixture browser)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_session_is_in_a_cookie_that_scripts_and_other_sites_do_not_see_and_nothing_secret_stays_in_the_address()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        var asked = new List<string>();
        visitor.Page.Request += (_, request) => asked.Add(request.Url);
        await using var command = await SignInCommand.StartAsync(creator.Profile.Folder);

        await visitor.Page.GotoAsync(command.Link.ToString());
        await Expect(visitor.Page).ToHaveURLAsync(new Regex("/dashboard/jobs$"));
        await command.EndAsync();

        var secret = command.Link.Fragment[1..];
        var cookie = Assert.Single(await visitor.Context.CookiesAsync());
        Assert.Equal((true, SameSiteAttribute.Strict, "/dashboard"), (cookie.HttpOnly, cookie.SameSite, cookie.Path));
        Assert.All(asked.Skip(1), url => Assert.DoesNotContain(secret, url, StringComparison.Ordinal));
        Assert.All(Directory.GetFiles(Path.Combine(platform.Data, "logs")), log => Assert.DoesNotContain(secret, ReadShared(log), StringComparison.Ordinal));
        Assert.All(Directory.GetFiles(Path.Combine(platform.Data, "logs")), log => Assert.DoesNotContain(cookie.Value, ReadShared(log), StringComparison.Ordinal));
        Assert.Equal(["key"], await KeysAsync(visitor.Page, "key.privateKey.extractable ? 'can be read' : 'key'"));
        Assert.Empty(await visitor.Page.EvaluateAsync<string[]>("() => Object.keys(localStorage).concat(Object.keys(sessionStorage))"));
    }

    [Fact]
    public async Task The_cookie_opens_the_dashboards_routes_only()
    {
        await platform.StartAsync();
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(await platform.NewCreatorAsync("Ada"));
        var cookie = Assert.Single(await visitor.Context.CookiesAsync());

        Assert.Equal(HttpStatusCode.OK, await AskAsync(HttpMethod.Get, "/dashboard/api/v1/jobs", cookie));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(HttpMethod.Get, "/v1/jobs", cookie));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(HttpMethod.Post, "/v1/identity/node-tokens", cookie, platform.Gateway));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(HttpMethod.Post, "/a2a", cookie, platform.Gateway));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, await AskAsync(HttpMethod.Post, "/dashboard/api/v1/credits/top-ups", cookie, platform.Gateway));
        Assert.Equal(HttpStatusCode.NotFound, await AskAsync(HttpMethod.Get, "/dashboard/api/v1/identity/api-keys", cookie));
    }

    [Fact]
    public async Task Pages_of_other_origins_are_refused()
    {
        await platform.StartAsync();
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(await platform.NewCreatorAsync("Ada"));
        var cookie = Assert.Single(await visitor.Context.CookiesAsync());

        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(HttpMethod.Delete, "/dashboard/api/session", cookie, new Uri("https://evil.example")));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(HttpMethod.Delete, "/dashboard/api/session", cookie, new Uri("http://127.0.0.1:1")));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(HttpMethod.Delete, "/dashboard/api/session", cookie));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(HttpMethod.Get, "/dashboard/api/v1/jobs", cookie, fetchSite: "same-site"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(HttpMethod.Get, "/dashboard/api/session", cookie));
        Assert.Equal(HttpStatusCode.NoContent, await AskAsync(HttpMethod.Delete, "/dashboard/api/session", cookie, platform.Gateway));
        await Wait.ForAsync(() => AskAsync(HttpMethod.Get, "/dashboard/api/session", cookie), status => status == HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task A_link_that_was_used_or_has_run_out_says_so_and_how_to_go_on()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await using var used = await SignInCommand.StartAsync(creator.Profile.Folder);
        await visitor.Page.GotoAsync(used.Link.ToString());
        await Expect(visitor.Page).ToHaveURLAsync(new Regex("/dashboard/jobs$"));
        await used.EndAsync();
        await using var other = await Visitor.ArriveAsync(browser, platform.Gateway);

        await other.Page.GotoAsync(used.Link.ToString());
        await Expect(other.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("was used already");
        await using var late = await SignInCommand.StartAsync(creator.Profile.Folder);
        await platform.SqlAsync<int>("UPDATE identity.sign_ins SET expires_at = now() - interval '1 s' WHERE session_id IS NULL RETURNING 1");
        await other.Page.GotoAsync("about:blank");
        await other.Page.GotoAsync(late.Link.ToString());
        await Expect(other.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("has run out");
        await Expect(other.Page.GetByText("./rendertrust dashboard")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Another_tenants_job_looks_like_one_that_never_was()
    {
        await platform.StartAsync();
        var owner = await platform.NewCreatorAsync("Owner");
        var draft = await Scenes.DraftAsync(owner, Scenes.Ball, 1, Token);
        var job = await owner.Jobs.SubmitAsync(draft, null, Token);
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(await platform.NewCreatorAsync("Stranger"));

        foreach (var id in new[] { job.JobId.ToString(), Guid.CreateVersion7().ToString() })
        {
            await visitor.GoAsync($"/dashboard/jobs/{id}");
            await Expect(visitor.Page.GetByText("There is no such job, or it is not yours.")).ToBeVisibleAsync();
        }
    }

    [Fact]
    public async Task Signing_out_ends_the_session_and_deletes_the_key()
    {
        await platform.StartAsync();
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(await platform.NewCreatorAsync("Ada"));
        var cookie = Assert.Single(await visitor.Context.CookiesAsync());

        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Sign out Ada" }).ClickAsync();

        await Expect(visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        Assert.Empty(await visitor.Context.CookiesAsync());
        Assert.Empty(await KeysAsync(visitor.Page, "'key'"));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(HttpMethod.Get, "/dashboard/api/session", cookie));
        visitor.WasContent();
    }

    [Fact]
    public async Task A_session_that_the_creator_ends_elsewhere_signs_the_page_out_and_the_link_leads_back_to_where_it_was()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await visitor.SignInAsync(creator);
        await visitor.GoAsync("/dashboard/fleet");
        await Expect(visitor.Page.GetByText("No nodes of yours")).ToBeVisibleAsync();

        (await platform.CliAsync(creator.Profile.Folder, "dashboard", "end", "all")).Succeeded();

        await Expect(visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Your session has ended" })).ToBeVisibleAsync();
        await using var command = await SignInCommand.StartAsync(creator.Profile.Folder);
        await visitor.Page.GotoAsync(command.Link.ToString());
        await Expect(visitor.Page).ToHaveURLAsync(new Regex("/dashboard/fleet$"));
    }

    [Fact]
    public async Task A_platform_that_puts_in_a_key_of_its_own_is_handed_nothing()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Ada");
        await using var visitor = await Visitor.ArriveAsync(browser, platform.Gateway);
        await using var command = await SignInCommand.StartAsync(creator.Profile.Folder);

        // What a gateway that lies would do: pass another point on than the browser sent.
        await visitor.Page.RouteAsync("**/dashboard/api/session", async route =>
        {
            if (route.Request.Method != "POST")
            {
                await route.ContinueAsync();
                return;
            }

            var body = System.Text.Json.Nodes.JsonNode.Parse(route.Request.PostData!)!;
            using var key = RenderTrust.Sealing.RecipientKeyPair.Generate();
            body["browserKey"] = key.PublicKey.Encode();
            await route.ContinueAsync(new RouteContinueOptions { PostData = System.Text.Encoding.UTF8.GetBytes(body.ToJsonString()) });
        });
        await visitor.Page.GotoAsync(command.Link.ToString());

        var (exitCode, output) = await command.EndAsync();
        Assert.NotEqual(0, exitCode);
        Assert.Contains("not proven", output, StringComparison.Ordinal);
        Assert.Equal(0L, await platform.SqlAsync<long>("SELECT count(*) FROM identity.sign_ins i JOIN identity.devices d USING (device_id) WHERE d.tenant_id = $1 AND handed_over IS NOT NULL", creator.Profile.Facts.TenantId.Value));
        Assert.Equal(0L, await platform.SqlAsync<long>("SELECT count(*) FROM identity.sessions WHERE tenant_id = $1 AND ended_at IS NULL", creator.Profile.Facts.TenantId.Value));
    }

    private async Task<HttpStatusCode> AskAsync(HttpMethod method, string path, BrowserContextCookiesResult cookie, Uri? origin = null, string? fetchSite = null)
    {
        using var http = new HttpClient(platform.Handler, disposeHandler: false);
        using var request = new HttpRequestMessage(method, new Uri(platform.Gateway, path));
        request.Headers.Add("Cookie", $"{cookie.Name}={cookie.Value}");
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin.GetLeftPart(UriPartial.Authority));
        }

        if (fetchSite is not null)
        {
            request.Headers.Add("Sec-Fetch-Site", fetchSite);
        }

        using var response = await http.SendAsync(request, Token);
        return response.StatusCode;
    }

    private static Task<string[]> KeysAsync(IPage page, string tell) => page.EvaluateAsync<string[]>(
        $$"""
        () => new Promise((resolve, reject) => {
          const open = indexedDB.open('rendertrust', 1);
          open.onerror = () => reject(open.error);
          open.onsuccess = () => {
            const all = open.result.transaction('keys').objectStore('keys').getAll();
            all.onsuccess = () => resolve(all.result.map(key => {{tell}}));
          };
        })
        """);

    private static string ReadShared(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
