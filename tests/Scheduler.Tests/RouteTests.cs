using System.Net;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Tests;

public sealed class RouteTests(WorldFixture fixture) : IClassFixture<WorldFixture>
{
    private readonly SchedulerWorld world = fixture.World;

    [Fact]
    public async Task Another_tenant_sees_nothing_of_a_job_on_any_route()
    {
        var creator = await world.CreatorAsync();
        var stranger = await world.CreatorAsync();
        var node = await world.NodeAsync(owner: creator);
        var spec = SchedulerWorld.Spec([node], units: 1);
        var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;

        Assert.NotNull(await world.JobAsync(spec.JobId, creator));
        Assert.Null(await world.JobAsync(spec.JobId, stranger));
        Assert.Null(await world.TaskAsync(taskId, stranger));
        Assert.Equal(CancelOutcome.UnknownTask, (await world.CancelAsync(taskId, stranger)).Outcome);
        Assert.Empty((await ReadAsync<JobList>("/v1/jobs", stranger)).Jobs);
        Assert.Empty((await ReadAsync<JobList>($"/v1/jobs?cursor={spec.JobId}", stranger)).Jobs);
        Assert.Empty((await ReadAsync<NodeList>("/v1/nodes", stranger)).Nodes);
        var unknown = await BodyAsync($"/v1/jobs/{JobId.New()}", stranger);
        var foreign = await BodyAsync($"/v1/jobs/{spec.JobId}", stranger);
        Assert.Equal(Shape(unknown), Shape(foreign));
        foreach (var rest in new[] { "/units", "/units/0", "/outputs", "/grants/key", "/trace", "?units=none" })
        {
            var answer = await BodyAsync($"/v1/jobs/{spec.JobId}{rest}", stranger);
            Assert.StartsWith("404 ", answer, StringComparison.Ordinal);
            Assert.Equal(Shape(await BodyAsync($"/v1/jobs/{JobId.New()}{rest}", stranger)), Shape(answer));
        }
    }

    [Fact]
    public async Task The_creator_sees_jobs_in_pages_newest_first()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync();
        var made = new List<JobId>();
        for (var i = 0; i < 53; i++)
        {
            var spec = SchedulerWorld.Spec([node], units: 1);
            await world.AcceptedAsync(creator, spec);
            made.Add(spec.JobId);
        }

        var first = await ReadAsync<JobList>("/v1/jobs", creator);
        var second = await ReadAsync<JobList>($"/v1/jobs?cursor={first.NextCursor}", creator);

        Assert.Equal(50, first.Jobs.Count);
        Assert.Null(second.NextCursor);
        Assert.Equal(Enumerable.Reverse(made), first.Jobs.Concat(second.Jobs).Select(job => job.JobId));
    }

    [Fact]
    public async Task The_owner_sees_the_node_with_its_state()
    {
        var owner = await world.CreatorAsync();
        var node = await world.NodeAsync("mine", slots: 3, owner: owner);

        var item = Assert.Single((await ReadAsync<NodeList>("/v1/nodes", owner)).Nodes);

        Assert.Equal((node.NodeId, "mine", "online", 3, 0, node.KeyId), (item.NodeId, item.Name, item.Status, item.Capabilities!.Slots, item.BusySlots, item.RecipientKeyId));
    }

    [Theory]
    [InlineData("/v1/jobs?cursor=x", HttpStatusCode.BadRequest)]
    [InlineData("/v1/jobs/not-an-id", HttpStatusCode.BadRequest)]
    public async Task Bad_ids_are_the_callers_mistake(string path, HttpStatusCode status)
    {
        using var response = await world.SendAsync(HttpMethod.Get, path, bearer: world.Neighbours.Token(TenantId.New()));

        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task Every_route_refuses_who_may_not_call_it()
    {
        var routes = world.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(route => route.RoutePattern.RawText!.StartsWith("/internal/", StringComparison.Ordinal) || route.RoutePattern.RawText.StartsWith("/v1/", StringComparison.Ordinal))
            .ToList();
        Assert.True(routes.Count >= 14, $"{routes.Count} routes");

        foreach (var route in routes)
        {
            var path = route.RoutePattern.RawText!.Replace("{taskId}", TaskId.New().ToString(), StringComparison.Ordinal).Replace("{jobId}", JobId.New().ToString(), StringComparison.Ordinal)
                .Replace("{unitIndex:int}", "0", StringComparison.Ordinal).Replace("{keyId}", "key", StringComparison.Ordinal);
            var method = new HttpMethod(route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods[0]);
            Assert.Null(route.Metadata.GetMetadata<IAllowAnonymous>());

            // No credentials, then a wrong app token, then the wrong kind of caller.
            await RefusedAsync(method, path, caller: null, token: null);
            await RefusedAsync(method, path, caller: Apps.Gateway, token: "guess");
            if (path.StartsWith("/internal/", StringComparison.Ordinal))
            {
                // Spans come from every app of the platform; which job they belong to is checked with each.
                if (path != "/internal/spans")
                {
                    await RefusedAsync(method, path, caller: Apps.Catalog, token: FakeNeighbours.ApiToken);
                }

                await RefusedAsync(method, path, caller: null, token: null, bearer: world.Neighbours.Token(TenantId.New()));
            }
            else
            {
                await RefusedAsync(method, path, caller: null, token: null, bearer: world.Neighbours.Token(TenantId.New(), "credits"));
            }
        }
    }

    private async Task RefusedAsync(HttpMethod method, string path, string? caller, string? token, string? bearer = null)
    {
        using var response = await world.SendAsync(method, path, method == HttpMethod.Get ? null : "{}", caller, token, bearer);
        Assert.True(response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, $"{method} {path} answered {(int)response.StatusCode}");
    }

    private async Task<T> ReadAsync<T>(string path, TenantId tenant)
    {
        using var response = await world.SendAsync(HttpMethod.Get, path, caller: null, token: null, bearer: world.Neighbours.Token(tenant));
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<T>(WireJson.Options))!;
    }

    private async Task<string> BodyAsync(string path, TenantId tenant)
    {
        using var response = await world.SendAsync(HttpMethod.Get, path, caller: null, token: null, bearer: world.Neighbours.Token(tenant));
        return $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}";
    }

    private static string Shape(string body) => System.Text.RegularExpressions.Regex.Replace(body, "[0-9a-f-]{32,}", "*");
}
