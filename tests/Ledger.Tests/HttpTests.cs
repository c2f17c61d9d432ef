using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger.Tests;

public sealed class HttpTests(LedgerDatabase ledger) : IClassFixture<LedgerDatabase>, IAsyncLifetime
{
    private LedgerHost host = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => host = await LedgerHost.StartAsync(ledger);

    public ValueTask DisposeAsync() => host.DisposeAsync();

    [Fact]
    public async Task A_top_up_can_be_spent_and_repeating_it_changes_nothing()
    {
        using var client = host.User(Guid.CreateVersion7());
        var request = new TopUpRequest(Guid.CreateVersion7(), 5_000_000);

        var first = await PostAsync<TopUpResponse>(client, "/v1/credits/top-ups", request, HttpStatusCode.OK);
        var again = await PostAsync<TopUpResponse>(client, "/v1/credits/top-ups", request, HttpStatusCode.OK);
        var other = await PostAsync<TopUpResponse>(client, "/v1/credits/top-ups", request with { AmountMicrocredits = 6_000_000 }, HttpStatusCode.Conflict);

        Assert.Equal((TopUpOutcome.Created, 5_000_000), (first.Outcome, first.Balance.AvailableMicrocredits));
        Assert.Equal((TopUpOutcome.AlreadyCreated, 5_000_000), (again.Outcome, again.Balance.AvailableMicrocredits));
        Assert.Equal(TopUpOutcome.ConflictingAmount, other.Outcome);
        Assert.Contains(request.TopUpId.ToString(), other.Explanation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_top_up_is_refused_outside_development()
    {
        await using var production = await LedgerHost.StartAsync(ledger, development: false);
        var tenant = Guid.CreateVersion7();
        using var client = production.User(tenant);

        using var response = await client.PostAsJsonAsync("/v1/credits/top-ups", new TopUpRequest(Guid.CreateVersion7(), 5), WireJson.Options, Cancellation);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("RENDERTRUST_ENVIRONMENT", await response.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        Assert.Equal(0, await ledger.BalanceAsync($"creator:{tenant}"));
    }

    [Theory]
    [InlineData("""{"topUpId":"x","amountMicrocredits":5}""")]
    [InlineData("""{"topUpId":"00000000-0000-7000-8000-000000000001","amountMicrocredits":0}""")]
    [InlineData("""{"topUpId":"00000000-0000-7000-8000-000000000001","amountMicrocredits":-5}""")]
    [InlineData("""{"topUpId":"00000000-0000-7000-8000-000000000001","amountMicrocredits":9223372036854775808}""")]
    [InlineData("""{"topUpId":"00000000-0000-7000-8000-000000000001"}""")]
    [InlineData("{")]
    [InlineData("")]
    public async Task A_malformed_top_up_is_the_callers_fault(string body)
    {
        using var client = host.User(Guid.CreateVersion7());
        using var content = new StringContent(body, Encoding.UTF8, "application/json");

        using var response = await client.PostAsync("/v1/credits/top-ups", content, Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task A_jobs_charge_is_posted_by_the_loops_and_listed_for_each_side_alone()
    {
        var (creator, node, developer) = (await ledger.TenantWithAsync(1_000_000), Guid.CreateVersion7(), Guid.CreateVersion7());
        var job = Guid.CreateVersion7();
        await ledger.PlaceAsync(job, creator, 400_000);
        await ledger.CaptureAsync(job, $"{job}/0", 0, 60_000, node: node, developer: developer);
        await ledger.CloseAsync(job);
        using var creators = host.User(creator);
        using var nodes = host.User(node);
        using var strangers = host.User(Guid.CreateVersion7());

        var balance = await UntilAsync(() => GetAsync<CreditBalance>(nodes, "/v1/credits"), b => b.EarnedMicrocredits == 40_000);

        Assert.Equal(0, balance.EarningsPendingMicrocredits);
        Assert.Equal(new CreditBalance(900_000, 0, 0, 0), await GetAsync<CreditBalance>(creators, "/v1/credits"));
        var paid = Assert.Single((await GetAsync<LedgerEntryList>(creators, $"/v1/credits/entries?jobId={job}")).Entries);
        Assert.Equal((-100_000L, "capture", $"creator:{creator}"), (paid.AmountMicrocredits, paid.Kind, paid.Account));
        var earned = (await GetAsync<LedgerEntryList>(nodes, $"/v1/credits/entries?jobId={job}")).Entries;
        Assert.Equal([40_000L, -40_000L, 40_000L], earned.Select(e => e.AmountMicrocredits));
        Assert.Empty((await GetAsync<LedgerEntryList>(strangers, $"/v1/credits/entries?jobId={job}")).Entries);
        var item = Assert.Single((await GetAsync<EarningsSummary>(nodes, "/v1/earnings")).Items);
        Assert.Equal(new EarningsItem(EarningsRole.Node, "povray@1.0.0", 1, 60_000, 40_000), item);
        await UntilAsync(() => Task.FromResult(PublishedTopics()), topics => topics.IsSupersetOf(["usage", "ledger-events", "evidence"]));
    }

    [Fact]
    public async Task Entries_of_a_malformed_job_id_are_the_callers_fault()
    {
        using var client = host.User(Guid.CreateVersion7());

        using var response = await client.GetAsync(new Uri("/v1/credits/entries?jobId=x", UriKind.Relative), Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task The_internal_hold_is_the_same_as_the_functions()
    {
        var tenant = await ledger.TenantWithAsync(1000);
        using var scheduler = host.AppCalling(Apps.Scheduler);
        var request = new PlaceHoldRequest(Guid.CreateVersion7(), new TenantId(tenant), 400, LedgerDatabase.Far, JobId.New());

        Assert.Equal(new PlaceHoldResponse(HoldOutcome.Placed, 600), await PostAsync<PlaceHoldResponse>(scheduler, "/internal/holds", request, HttpStatusCode.OK));
        Assert.Equal(new PlaceHoldResponse(HoldOutcome.AlreadyPlaced, 600), await PostAsync<PlaceHoldResponse>(scheduler, "/internal/holds", request, HttpStatusCode.OK));
        Assert.Equal(
            HoldOutcome.InsufficientCredits,
            (await PostAsync<PlaceHoldResponse>(scheduler, "/internal/holds", request with { HoldId = Guid.CreateVersion7(), AmountMicrocredits = 601 }, HttpStatusCode.OK)).Outcome);
        using var nothing = await scheduler.PostAsJsonAsync("/internal/holds", request with { AmountMicrocredits = 0 }, WireJson.Options, Cancellation);
        Assert.Equal(HttpStatusCode.BadRequest, nothing.StatusCode);
    }

    [Fact]
    public async Task The_books_are_told_by_class_and_balance()
    {
        await ledger.TenantWithAsync(777);
        using var gateway = host.AppCalling(Apps.Gateway);

        var books = await GetAsync<BooksReport>(gateway, "/internal/books");

        Assert.True(books.Balanced);
        Assert.Equal(0, books.SumMicrocreditsByCurrency["CREDIT"]);
        Assert.Contains(books.AccountClasses, c => c.Kind == "issuance" && c.SumMicrocredits <= -777);
    }

    [Fact]
    public async Task Every_route_has_a_policy_and_refuses_whoever_lacks_it()
    {
        // May only shrink.
        string[] anonymous = ["/healthz"];
        var routes = host.App.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(route => !anonymous.Contains(route.RoutePattern.RawText)).ToList();
        Assert.True(routes.Count >= 6);

        foreach (var route in routes)
        {
            Assert.NotEmpty(route.Metadata.GetOrderedMetadata<IAuthorizeData>());
            var method = route.Metadata.GetMetadata<HttpMethodMetadata>() is { HttpMethods: [var first, ..] } ? first : "GET";
            var isPublic = route.RoutePattern.RawText!.StartsWith("/v1/", StringComparison.Ordinal);
            HttpClient[] intruders = isPublic
                ? [host.Anonymous(), host.User(Guid.CreateVersion7(), Scopes.Jobs), host.AppCalling(Apps.Scheduler)]
                : [host.Anonymous(), host.User(Guid.CreateVersion7()), host.AppCalling(Apps.Scheduler, "wrong"), host.AppCalling("stranger")];
            // The books are for every app of the platform, whatever its name.
            foreach (var intruder in route.RoutePattern.RawText == "/internal/books" ? intruders[..3] : intruders)
            {
                using var request = new HttpRequestMessage(new HttpMethod(method), route.RoutePattern.RawText);
                if (method == "POST")
                {
                    request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
                }

                using var response = await intruder.SendAsync(request, Cancellation);
                Assert.True(response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, $"{method} {route.RoutePattern.RawText} answered {response.StatusCode}");
            }

            foreach (var intruder in intruders)
            {
                intruder.Dispose();
            }
        }
    }

    private HashSet<string> PublishedTopics()
    {
        lock (host.Published)
        {
            return [.. host.Published.Select(message => message.Topic)];
        }
    }

    private static async Task<T> GetAsync<T>(HttpClient client, string path) =>
        JsonSerializer.Deserialize<T>(await client.GetStringAsync(new Uri(path, UriKind.Relative), Cancellation), WireJson.Options)!;

    private static async Task<T> PostAsync<T>(HttpClient client, string path, object body, HttpStatusCode expected)
    {
        using var content = JsonContent.Create(body, body.GetType(), options: WireJson.Options);
        using var response = await client.PostAsync(path, content, Cancellation);
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.True(expected == response.StatusCode, $"{response.StatusCode}: {text}");
        return JsonSerializer.Deserialize<T>(text, WireJson.Options)!;
    }

    private static async Task<T> UntilAsync<T>(Func<Task<T>> read, Func<T, bool> condition)
    {
        var deadline = DateTime.UtcNow.AddSeconds(30);
        while (true)
        {
            var seen = await read();
            if (condition(seen))
            {
                return seen;
            }

            Assert.True(DateTime.UtcNow < deadline, $"Waited 30 s; last seen: {seen}");
            await Task.Delay(10, Cancellation);
        }
    }
}
