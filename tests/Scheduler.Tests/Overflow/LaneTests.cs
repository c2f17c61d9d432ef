using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Tests.Overflow;

/// <summary>The overflow lane in the tables, with nodes as hubs present them. Agents are started elsewhere: overflow is off here.</summary>
public sealed class LaneTests(WorldFixture fixture) : IClassFixture<WorldFixture>
{
    private readonly SchedulerWorld world = fixture.World.Fresh();

    [Fact]
    public async Task Each_lane_is_served_by_its_own_nodes_only()
    {
        var creator = await world.CreatorAsync();
        var (fleet, overflow) = (await world.NodeAsync("fleet", slots: 2), await OverflowNodeAsync(slots: 4));
        var spec = SchedulerWorld.Spec([fleet, overflow], units: 4);

        await world.AcceptedAsync(creator, spec);
        await world.OffersAsync(spec.JobId, 2);
        await SchedulerWorld.UntilAsync(
            "the other units to be parked in spite of the free overflow slots",
            () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = public.key_of($1) AND state = 'parked'", spec.JobId.Value), count => count == 2);
        await MoveToLaneAsync(spec.JobId, 2, 3);
        var offers = await world.OffersAsync(spec.JobId, 4);

        Assert.All(offers, offer => Assert.Equal(offer.UnitIndex < 2 ? fleet.NodeId : overflow.NodeId, offer.NodeId));
        Assert.All(offers.Where(offer => offer.UnitIndex >= 2), offer => Assert.Equal(overflow.KeyId, offer.Grants[0].RecipientKeyId));
    }

    [Fact]
    public async Task A_unit_in_the_lane_waits_for_an_agent_and_is_leased_when_one_connects()
    {
        var creator = await world.CreatorAsync();
        var fleet = await world.NodeAsync("fleet", slots: 2);
        var pool = await PoolKeyAsync();
        var spec = SchedulerWorld.Spec([fleet, fleet with { KeyId = pool }], units: 1);
        await OverflowedAsync(creator, spec, fleet);
        await SchedulerWorld.UntilAsync("the unit to wait", () => ReasonAsync(spec.JobId), reason => reason.Contains("overflowed and waits", StringComparison.Ordinal));

        var agent = await world.NodeAsync("overflow-1", keyId: pool);
        var offer = (await world.OffersAsync(spec.JobId, 2))[^1];

        Assert.Equal(agent.NodeId, offer.NodeId);
        await world.RunningAsync(offer);
        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(offer)).Outcome);
        var job = await world.EndedAsync(spec.JobId, creator);
        Assert.Equal(JobStatus.Completed, job.Status);
        var decision = job.Units[0].Attempts[^1].Decision!;
        Assert.StartsWith("The unit overflowed. overflow-1", decision.Explanation, StringComparison.Ordinal);
        Assert.Contains(decision.Candidates, candidate => candidate.NodeName == "fleet" && candidate.RefusedBecause == "is of the fleet, and the unit has overflowed");
    }

    [Fact]
    public async Task An_overflow_attempt_is_charged_once_like_any_other_and_its_owner_earns_it()
    {
        var creator = await world.CreatorAsync();
        var platform = TenantId.New();
        var fleet = await world.NodeAsync("fleet", slots: 2);
        var agent = await OverflowNodeAsync(owner: platform);
        var spec = SchedulerWorld.Spec([fleet, agent], units: 1);
        await OverflowedAsync(creator, spec, fleet);
        var offer = (await world.OffersAsync(spec.JobId, 2))[^1];
        await world.RunningAsync(offer);

        await world.ReportAsync(offer, metered: 1000);
        await world.ReportAsync(offer, metered: 1000);

        var job = await world.EndedAsync(spec.JobId, creator);
        Assert.True(job.Money.ChargedMicrocredits > 0);
        Assert.Equal(job.Money.ChargedMicrocredits, await world.CapturedAsync(spec.JobId));
        Assert.Equal(job.Money.HeldMicrocredits, job.Money.ChargedMicrocredits + job.Money.ReleasedMicrocredits);
        Assert.Equal(
            1, await world.ScalarAsync<long>("SELECT count(*) FROM ledger.captures WHERE hold_id = (SELECT hold_id FROM ledger.holds WHERE job_id = $1) AND node_tenant_id = $2", spec.JobId.Value, platform.Value));
    }

    [Fact]
    public async Task An_agent_gets_no_unit_that_the_jobs_cap_does_not_cover_any_more()
    {
        var creator = await world.CreatorAsync();
        var fleet = await world.NodeAsync("fleet", slots: 2);
        var pool = await PoolKeyAsync();
        var spec = SchedulerWorld.Spec([fleet, fleet with { KeyId = pool }], units: 1);
        await OverflowedAsync(creator, spec, fleet);
        await world.ScalarAsync<string>("SELECT outcome FROM ledger.close_hold_v1(public.key_of($1), 'by the test')", spec.JobId.Value);

        await world.NodeAsync("overflow-1", keyId: pool);

        var job = await world.EndedAsync(spec.JobId, creator);
        Assert.Equal(JobStatus.Failed, job.Status);
        Assert.Contains("hold does not cover another unit", job.Reason, StringComparison.Ordinal);
        Assert.Single(job.Units[0].Attempts);
        Assert.Equal(0, await world.CapturedAsync(spec.JobId));
    }

    [Fact]
    public async Task A_unit_that_an_agent_refused_or_lost_stays_in_the_lane()
    {
        var creator = await world.CreatorAsync();
        var fleet = await world.NodeAsync("fleet", slots: 2);
        var agent = await OverflowNodeAsync();
        var spec = SchedulerWorld.Spec([fleet, agent], units: 1);
        world.Neighbours.OnOffer = offer => Task.FromResult(
            offer.JobId == spec.JobId && offer.NodeId == agent.NodeId
                ? new LeaseOfferResponse(LeaseOfferOutcome.Refused, 1, "no room")
                : new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        await OverflowedAsync(creator, spec, fleet);
        await SchedulerWorld.UntilAsync("the refusal", () => LaneAsync(spec.JobId), lane => lane == "overflow/parked");
        world.Fresh();

        await world.OffersAsync(spec.JobId, 3);
        Assert.DoesNotContain(world.Neighbours.Offers.Where(offer => offer.JobId == spec.JobId).Skip(1), offer => offer.NodeId == fleet.NodeId);
    }

    [Fact]
    public async Task What_a_node_is_follows_from_its_certified_key_and_stays_when_the_pool_is_withdrawn()
    {
        var pool = await PoolKeyAsync();
        var agent = await world.NodeAsync("overflow-1", keyId: pool);
        await world.ScalarAsync<string>("DELETE FROM scheduler.overflow_keys WHERE recipient_key_id = $1 RETURNING recipient_key_id", pool);

        await world.NodeAsync("overflow-1", id: agent.NodeId, owner: agent.Owner, keyId: pool);
        var fleet = await world.NodeAsync("fleet");

        Assert.Equal("overflow", await NodeLaneAsync(agent));
        Assert.Equal("fleet", await NodeLaneAsync(fleet));
    }

    /// <summary>A job whose unit was on the fleet and came back into the lane, as the saga would put it there.</summary>
    private async Task OverflowedAsync(TenantId creator, JobSpec spec, TestNode fleet)
    {
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        Assert.Equal(fleet.NodeId, offer.NodeId);
        await world.RunningAsync(offer);
        await world.ScalarAsync<Guid>(
            """
            WITH failed AS (UPDATE scheduler.attempts SET status = 'failed', failure_class = 'module_failed', ended_at = now() WHERE attempt_id = $2 RETURNING job_id),
                waits AS (UPDATE scheduler.units SET status = 'pending', lane = 'overflow' WHERE job_id = public.key_of($1) RETURNING job_id)
            INSERT INTO scheduler.pending_units (job_id, unit_index, lane, ready_at) SELECT w.job_id, 0, 'overflow', now() FROM waits w JOIN failed USING (job_id) RETURNING job_id
            """,
            spec.JobId.Value, offer.AttemptId.Value);
    }

    private async Task MoveToLaneAsync(JobId jobId, params int[] units)
    {
        await using var command = world.Admin.CreateCommand(
            """
            WITH moved AS (UPDATE scheduler.units SET lane = 'overflow' WHERE job_id = public.key_of($1) AND unit_index = ANY ($2))
            UPDATE scheduler.pending_units SET lane = 'overflow', state = 'new' WHERE job_id = public.key_of($1) AND unit_index = ANY ($2)
            """);
        command.Parameters.Add(new() { Value = jobId.Value });
        command.Parameters.Add(new() { Value = units });
        Assert.Equal(units.Length, await command.ExecuteNonQueryAsync());
    }

    private async Task<TestNode> OverflowNodeAsync(int slots = 2, TenantId? owner = null) => await world.NodeAsync("overflow-1", slots, owner: owner, keyId: await PoolKeyAsync());

    private Task<string> PoolKeyAsync() =>
        world.ScalarAsync<string>("INSERT INTO scheduler.overflow_keys (recipient_key_id) VALUES ($1) RETURNING recipient_key_id", $"pool-{Guid.NewGuid():N}");

    private Task<string> NodeLaneAsync(TestNode node) => world.ScalarAsync<string>("SELECT lane FROM scheduler.nodes WHERE node_id = $1", node.NodeId.Value);

    private Task<string> LaneAsync(JobId jobId) =>
        world.ScalarAsync<string>("SELECT coalesce((SELECT lane || '/' || state FROM scheduler.pending_units WHERE job_id = public.key_of($1)), 'none')", jobId.Value);

    private Task<string> ReasonAsync(JobId jobId) =>
        world.ScalarAsync<string>("SELECT coalesce((SELECT parked_reason FROM scheduler.pending_units WHERE job_id = public.key_of($1)), '')", jobId.Value);
}
