using System.Net;
using System.Net.Http.Json;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Tests;

/// <summary>What a page about one job asks for, in pages that stay small however large the job is.</summary>
public sealed class JobPageTests(WorldFixture fixture) : IClassFixture<WorldFixture>
{
    private readonly SchedulerWorld world = fixture.World;

    [Fact]
    public async Task Units_come_in_pages_with_their_newest_attempt()
    {
        var (creator, spec) = await EndedJobAsync(units: 7);

        var first = await ReadAsync<UnitPage>($"/v1/jobs/{spec.JobId}/units?count=4", creator);
        var second = await ReadAsync<UnitPage>($"/v1/jobs/{spec.JobId}/units?from={first.NextFrom}&count=4", creator);

        Assert.Equal([0, 1, 2, 3], first.Units.Select(unit => unit.UnitIndex));
        Assert.Equal(4, first.NextFrom);
        Assert.Equal([4, 5, 6], second.Units.Select(unit => unit.UnitIndex));
        Assert.Null(second.NextFrom);
        Assert.All(first.Units, unit => Assert.Equal(("completed", 1, "node-1", 1d), (unit.Status, unit.AttemptCount, unit.Attempt!.NodeName, unit.Attempt.Progress)));
        Assert.All(first.Units, unit => Assert.NotNull(unit.Attempt!.ChargeMicrocredits));
        Assert.Equal((await JobAsync(spec.JobId, creator)).LastSeq, first.LastSeq);
        Assert.Empty((await ReadAsync<UnitPage>($"/v1/jobs/{spec.JobId}/units?status=leased", creator)).Units);
        Assert.Equal(7, (await ReadAsync<UnitPage>($"/v1/jobs/{spec.JobId}/units?status=completed", creator)).Units.Count);
    }

    [Fact]
    public async Task A_unit_that_waits_says_for_what()
    {
        var creator = await world.CreatorAsync();
        var absent = new TestNode(NodeId.New(), TenantId.New(), "absent", "nobody-holds-this-key", "hub-1", 1, []);
        var spec = SchedulerWorld.Spec([absent], units: 1);
        await world.AcceptedAsync(creator, spec);

        var unit = await SchedulerWorld.UntilAsync(
            "the unit to be parked", async () => (await ReadAsync<UnitPage>($"/v1/jobs/{spec.JobId}/units", creator)).Units.Single(), unit => unit.Reason is not null);

        Assert.Equal(("pending", null), (unit.Status, unit.Attempt));
        Assert.Equal(unit.Reason, (await JobAsync(spec.JobId, creator)).Reason ?? unit.Reason);
    }

    [Fact]
    public async Task One_unit_shows_why_its_node_was_chosen_and_its_outputs()
    {
        var (creator, spec) = await EndedJobAsync(units: 2);

        var unit = await ReadAsync<UnitDetail>($"/v1/jobs/{spec.JobId}/units/1", creator);

        Assert.Equal((1, "completed"), (unit.UnitIndex, unit.Status));
        Assert.Contains(Assert.Single(unit.Attempts).Decision.Candidates, candidate => candidate.Chosen);
        Assert.Single(unit.Outputs!);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync($"/v1/jobs/{spec.JobId}/units/2", creator));
    }

    [Fact]
    public async Task Outputs_come_in_pages_by_unit()
    {
        var (creator, spec) = await EndedJobAsync(units: 5);

        var first = await ReadAsync<OutputPage>($"/v1/jobs/{spec.JobId}/outputs?count=3", creator);
        var second = await ReadAsync<OutputPage>($"/v1/jobs/{spec.JobId}/outputs?from={first.NextFrom}&count=3", creator);

        Assert.Equal([0, 1, 2], first.Units.Select(unit => unit.UnitIndex));
        Assert.Equal(3, first.NextFrom);
        Assert.Equal([3, 4], second.Units.Select(unit => unit.UnitIndex));
        Assert.Null(second.NextFrom);
        Assert.All(second.Units, unit => Assert.Single(unit.Outputs));
    }

    [Fact]
    public async Task A_job_is_told_without_its_units_and_the_list_says_what_it_costs()
    {
        var (creator, spec) = await EndedJobAsync(units: 3);

        var whole = await JobAsync(spec.JobId, creator);
        var bare = await ReadAsync<JobSummary>($"/v1/jobs/{spec.JobId}?units=none", creator);
        var listed = Assert.Single((await ReadAsync<JobList>("/v1/jobs", creator)).Jobs);

        Assert.Equal((3, 0), (whole.Units.Count, bare.Units.Count));
        Assert.Equal((whole.Money, whole.UnitsCompleted, whole.LastSeq), (bare.Money, bare.UnitsCompleted, bare.LastSeq));
        Assert.Equal((whole.Money.ChargedMicrocredits, whole.PriceMicrocredits, whole.LastSeq), (listed.ChargedMicrocredits, listed.PriceMicrocredits, listed.LastSeq));
        Assert.True(listed.ChargedMicrocredits > 0);
    }

    [Fact]
    public async Task The_creators_own_grant_for_the_manifest_is_kept_and_makes_no_node_of_the_creator()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync();
        world.AnswerWithResults();
        var spec = SchedulerWorld.Spec([node], units: 1);
        var own = new AssetGrant(spec.Manifest.AssetId, "creators-own-key", [.. Enumerable.Repeat((byte)4, 65)], [.. Enumerable.Repeat((byte)5, 48)]);
        spec = spec with { Grants = [.. spec.Grants, own] };

        await world.AcceptedAsync(creator, spec);
        await world.EndedAsync(spec.JobId, creator);
        var mine = await ReadAsync<ManifestGrants>($"/v1/jobs/{spec.JobId}/grants/creators-own-key", creator);
        var none = await ReadAsync<ManifestGrants>($"/v1/jobs/{spec.JobId}/grants/another-key", creator);

        Assert.Equal(spec.Manifest, mine.Manifest);
        Assert.Equal(own.EncapsulatedKey, Assert.Single(mine.Grants).EncapsulatedKey);
        Assert.Equal(own.WrappedKey, mine.Grants[0].WrappedKey);
        Assert.Equal((spec.Manifest, 0), (none.Manifest, none.Grants.Count));
        Assert.DoesNotContain("creators-own-key", await world.ScalarAsync<string[]>("SELECT recipients FROM scheduler.jobs WHERE client_job_id = $1", spec.JobId.Value));
    }

    [Fact]
    public async Task The_owner_sees_what_a_node_earned_in_the_last_day()
    {
        var owner = await world.CreatorAsync();
        var node = await world.NodeAsync("earner", owner: owner);
        var creator = await world.CreatorAsync();
        world.AnswerWithResults(metered: 60_000);
        var spec = SchedulerWorld.Spec([node], units: 2);
        await world.AcceptedAsync(creator, spec);
        var job = await world.EndedAsync(spec.JobId, creator);
        await world.HeartbeatAsync(node);

        var outside = Assert.Single((await ReadAsync<NodeList>("/v1/nodes", owner)).Nodes);
        using var response = await world.SendAsync(HttpMethod.Get, $"/internal/nodes?tenantId={owner}");
        var inside = Assert.Single((await response.Content.ReadFromJsonAsync<NodeList>(WireJson.Options))!.Nodes);

        Assert.Equal((job.Money.NodeEarnedMicrocredits, 2, true), (outside.EarnedLastDayMicrocredits, outside.CompletedLastDay, outside.LatencyMs > 0));
        Assert.Equal((outside.NodeId, outside.EarnedLastDayMicrocredits), (inside.NodeId, inside.EarnedLastDayMicrocredits));
    }

    [Theory]
    [InlineData("?units=some")]
    [InlineData("/units?status=asleep")]
    [InlineData("/units?from=x")]
    public async Task Bad_questions_are_the_callers_mistake(string rest) =>
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync($"/v1/jobs/{JobId.New()}{rest}", TenantId.New()));

    private async Task<(TenantId Creator, JobSpec Spec)> EndedJobAsync(int units)
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync();
        world.AnswerWithResults();
        var spec = SchedulerWorld.Spec([node], units: units);
        await world.AcceptedAsync(creator, spec);
        await world.EndedAsync(spec.JobId, creator);
        return (creator, spec);
    }

    private async Task<JobSummary> JobAsync(JobId jobId, TenantId tenant) => (await world.JobAsync(jobId, tenant))!;

    private async Task<T> ReadAsync<T>(string path, TenantId tenant)
    {
        using var response = await world.SendAsync(HttpMethod.Get, path, caller: null, token: null, bearer: world.Neighbours.Token(tenant));
        Assert.True(response.IsSuccessStatusCode, $"{path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        return (await response.Content.ReadFromJsonAsync<T>(WireJson.Options))!;
    }

    private async Task<HttpStatusCode> StatusAsync(string path, TenantId tenant)
    {
        using var response = await world.SendAsync(HttpMethod.Get, path, caller: null, token: null, bearer: world.Neighbours.Token(tenant));
        return response.StatusCode;
    }
}
