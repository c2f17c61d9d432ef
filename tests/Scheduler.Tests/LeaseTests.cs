using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Nodes;

namespace RenderTrust.Scheduler.Tests;

public sealed class LeaseTests(LeaseTests.Fixture fixture) : IClassFixture<LeaseTests.Fixture>
{
    private static readonly PlacementDecision NoDecision = new("by hand", [], 0.5, 0.3, 0.2);
    private readonly SchedulerWorld world = fixture.World.Fresh();

    private LeaseSlot Leases => world.Services.GetRequiredService<LeaseSlot>();

    [Fact]
    public async Task Of_many_leases_on_one_slot_one_wins()
    {
        var node = await world.NodeAsync("contended", slots: 8);
        var requests = await ParkedUnitsAsync(node, 8);

        var responses = await Task.WhenAll(requests.Select(request => Leases.TryAsync(request, 3, CancellationToken.None)));

        Assert.Single(responses, response => response.Outcome == LeaseOutcome.Leased);
        Assert.Equal(7, responses.Count(response => response.Outcome == LeaseOutcome.SlotTaken));
        Assert.Equal(1, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.attempts WHERE node_id = $1", node.NodeId.Value));
        Assert.Equal(7, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = public.key_of($1)", requests[0].JobId.Value));
    }

    [Fact]
    public async Task A_free_slot_without_the_memory_for_a_unit_is_not_leased()
    {
        // Three slots, but memory for one unit of 256 MiB at a time.
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("little-memory", slots: 3, memory: 400L << 20);
        world.Neighbours.OnOffer = _ => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        var spec = SchedulerWorld.Spec([node], units: 2);
        await world.AcceptedAsync(creator, spec);
        var first = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(first);
        var reason = await SchedulerWorld.UntilAsync(
            "the other unit to be parked",
            () => world.ScalarAsync<string>("SELECT coalesce((SELECT parked_reason FROM scheduler.pending_units WHERE job_id = public.key_of($1) AND state = 'parked'), '')", spec.JobId.Value),
            text => text!.Length > 0);

        Assert.Contains("has 144 MiB of memory left beside what runs there, the module needs 256 MiB", reason, StringComparison.Ordinal);
        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(first)).Outcome);
        await world.OffersAsync(spec.JobId, 2);
    }

    [Fact]
    public async Task Of_many_leases_of_one_unit_one_wins()
    {
        var node = await world.NodeAsync("many-slots", slots: 8);
        var request = (await ParkedUnitsAsync(node, 1))[0];

        var responses = await Task.WhenAll(Enumerable.Range(0, 8).Select(slot => Leases.TryAsync(request, slot, CancellationToken.None)));

        Assert.Single(responses, response => response.Outcome == LeaseOutcome.Leased);
        Assert.Equal(7, responses.Count(response => response.Outcome == LeaseOutcome.UnitTaken));
    }

    [Fact]
    public async Task Two_owners_of_one_node_lease_every_slot_once()
    {
        var node = await world.NodeAsync("two-owners", slots: 4);
        var requests = await ParkedUnitsAsync(node, 12);
        NodeOwner[] owners =
        [
            new(node.NodeId, Leases, world.Services.GetRequiredService<NodeSessions>()), new(node.NodeId, Leases, world.Services.GetRequiredService<NodeSessions>()),
        ];

        async Task<List<LeaseResponse>> InTurnsAsync(NodeOwner owner, IEnumerable<LeaseRequest> mine)
        {
            var responses = new List<LeaseResponse>();
            foreach (var request in mine)
            {
                responses.Add(await owner.LeaseAsync(request, CancellationToken.None));
            }

            return responses;
        }

        var all = (await Task.WhenAll(InTurnsAsync(owners[0], requests.Take(6)), InTurnsAsync(owners[1], requests.Skip(6)))).SelectMany(list => list).ToList();

        Assert.Equal([0, 1, 2, 3], all.Where(r => r.Outcome == LeaseOutcome.Leased).Select(r => r.Offer!.Slot).Order());
        Assert.Equal(8, all.Count(r => r.Outcome == LeaseOutcome.NoFreeSlot));
        Assert.Equal(4, all.Where(r => r.Offer is not null).Select(r => r.Offer!.FencingToken).Distinct().Count());
    }

    [Fact]
    public async Task A_lease_is_refused_for_an_old_session_an_ended_job_and_an_exhausted_hold()
    {
        var node = await world.NodeAsync("checks", slots: 4);
        var requests = await ParkedUnitsAsync(node, 3);

        Assert.Equal(LeaseOutcome.StaleSession, (await Leases.TryAsync(requests[0] with { Epoch = node.Epoch - 1 }, 0, CancellationToken.None)).Outcome);
        Assert.Equal(LeaseOutcome.UnitTaken, (await Leases.TryAsync(requests[0] with { ClaimId = Guid.CreateVersion7() }, 0, CancellationToken.None)).Outcome);
        Assert.Equal(LeaseOutcome.Leased, (await Leases.TryAsync(requests[0], 0, CancellationToken.None)).Outcome);
        await world.ScalarAsync<string>("SELECT outcome FROM ledger.close_hold_v1(public.key_of($1), 'by the test')", requests[0].JobId.Value);
        Assert.Equal(LeaseOutcome.HoldExhausted, (await Leases.TryAsync(requests[1], 1, CancellationToken.None)).Outcome);
        await world.Services.GetRequiredService<Jobs.EndJob>().FailAsync(requests[0].JobId, "by the test", CancellationToken.None);
        Assert.Equal(LeaseOutcome.JobEnded, (await Leases.TryAsync(requests[1], 1, CancellationToken.None)).Outcome);
        Assert.Equal(1, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.attempts WHERE job_id = public.key_of($1)", requests[0].JobId.Value));
    }

    [Theory]
    [InlineData("scheduler.attempts")]
    [InlineData("scheduler.units")]
    [InlineData("scheduler.placement_decisions")]
    public async Task Failing_at_any_step_of_a_lease_leaves_the_unit_waiting_and_it_is_leased_later(string table)
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("unlucky", slots: 1);
        world.Neighbours.OnOffer = _ => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        foreach (var atCommit in new[] { false, true })
        {
            // The submission inserts units itself and must pass; the sabotage waits for the lease's update.
            var before = SchedulerWorld.Spec([node], units: 1);
            await using (await Sabotage.OnInsertAsync(world.Admin, table, atCommit, "IF TG_OP = 'UPDATE' OR TG_TABLE_NAME <> 'units' THEN RAISE EXCEPTION 'sabotaged'; END IF"))
            {
                await world.AcceptedAsync(creator, before);
                await Task.Delay(300, TestContext.Current.CancellationToken);
                Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.attempts WHERE job_id = public.key_of($1)", before.JobId.Value));
                Assert.Equal(1, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = public.key_of($1)", before.JobId.Value));
                Assert.Equal("pending", await world.ScalarAsync<string>("SELECT status FROM scheduler.units WHERE job_id = public.key_of($1)", before.JobId.Value));
            }

            var offer = (await world.OffersAsync(before.JobId, 1))[0];
            await world.RunningAsync(offer);
            await world.ReportAsync(offer, metered: 1);
            Assert.Equal(1, offer.AttemptNumber);
        }
    }

    [Fact]
    public async Task An_offer_carries_only_the_nodes_own_grants_and_everything_that_it_needs()
    {
        var creator = await world.CreatorAsync();
        world.Neighbours.OnOffer = _ => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        var node = await world.NodeAsync("mine");
        var stranger = new TestNode(NodeId.New(), TenantId.New(), "absent", "key-of-absent", "hub-1", 0, []);
        var spec = SchedulerWorld.Spec([node, stranger], units: 1);
        var submitted = await world.AcceptedAsync(creator, spec);

        var offer = (await world.OffersAsync(spec.JobId, 1))[0];

        Assert.Equal(2, offer.Grants.Count);
        Assert.All(offer.Grants, grant => Assert.Equal(node.KeyId, grant.RecipientKeyId));
        Assert.Equal((creator, spec.JobId, submitted.TaskId!.Value, spec.Manifest, node.Epoch), (offer.TenantId, offer.JobId, offer.TaskId, offer.Manifest, offer.Epoch));
        Assert.Equal(spec.Assets, offer.Assets);
        Assert.Equal(SchedulerWorld.Module, offer.Module);
        Assert.Equal(world.ModuleOf(SchedulerWorld.Module).Runtime, offer.Runtime);
    }

    [Fact]
    public async Task The_first_units_of_a_job_are_offered_side_by_side()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("wide", slots: 4);
        var together = new TaskCompletionSource();
        var waiting = 0;
        world.Neighbours.OnOffer = async offer =>
        {
            if (offer.NodeId == node.NodeId && Interlocked.Increment(ref waiting) == 4)
            {
                together.SetResult();
            }

            // None is acknowledged before all four are there.
            await together.Task.WaitAsync(TimeSpan.FromSeconds(4));
            return new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null);
        };
        var spec = SchedulerWorld.Spec([node], units: 6);

        await world.AcceptedAsync(creator, spec);
        var offers = await world.OffersAsync(spec.JobId, 4);
        await Task.WhenAll(offers.Select(world.RunningAsync));

        Assert.Equal([0, 1, 2, 3], offers.Select(offer => offer.Slot).Order());
        Assert.Equal([0, 1, 2, 3], offers.Select(offer => offer.UnitIndex).Order());
    }

    [Fact]
    public async Task A_refusal_is_remembered_and_another_node_runs_the_unit()
    {
        var creator = await world.CreatorAsync();
        var nodes = new[] { await world.NodeAsync("no", slots: 1), await world.NodeAsync("yes", slots: 1) };
        NodeId? refuser = null;
        world.Neighbours.OnOffer = offer =>
        {
            refuser ??= offer.NodeId;
            return Task.FromResult(offer.NodeId == refuser
                ? new LeaseOfferResponse(LeaseOfferOutcome.Refused, 1, "scratch is full")
                : new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        };
        var spec = SchedulerWorld.Spec(nodes, units: 1);

        await world.AcceptedAsync(creator, spec);
        var second = (await world.OffersAsync(spec.JobId, 2))[1];
        await world.RunningAsync(second);

        Assert.NotEqual(refuser, second.NodeId);
        var job = (await world.JobAsync(spec.JobId, creator))!;
        Assert.Equal(["refused", "running"], job.Units[0].Attempts.Select(attempt => attempt.Status));
        Assert.Equal(0, job.UnitsFailed);
    }

    [Fact]
    public async Task Two_placers_never_claim_the_same_unit()
    {
        var creator = await world.CreatorAsync();
        var absent = new TestNode(NodeId.New(), TenantId.New(), "absent", $"absent-{Guid.CreateVersion7()}", "hub-1", 0, []);
        var spec = SchedulerWorld.Spec([absent], units: 200, seconds: 1);
        await world.AcceptedAsync(creator, spec);
        await SchedulerWorld.UntilAsync(
            "all units to be parked", () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = public.key_of($1) AND state = 'parked'", spec.JobId.Value), count => count == 200);
        var claims = world.Services.GetRequiredService<Placement.ClaimUnits>();
        var node = new Placement.FleetNode(
            absent.NodeId, "absent", absent.Owner, absent.KeyId, new NodeCapabilities(DeviceKind.Cpu, 200, 4, 1L << 32, 1L << 30, "docker", true, true, "1"), true, 1, "hub-1", 1, 0, 200);

        var taken = (await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => claims.ClaimParkedAsync(Guid.CreateVersion7(), 20, [node], DateTimeOffset.UtcNow, CancellationToken.None))))
            .SelectMany(units => units).Where(unit => unit.JobId == TaskIds.KeyOf(creator, spec.JobId)).ToList();

        Assert.Equal(taken.Count, taken.Select(unit => unit.UnitIndex).Distinct().Count());
        Assert.True(taken.Count >= 20, $"{taken.Count} claimed");
    }

    [Fact]
    public async Task Jobs_that_wait_for_other_nodes_do_not_stand_in_the_way()
    {
        var creator = await world.CreatorAsync();
        for (var i = 0; i < 40; i++)
        {
            await world.AcceptedAsync(creator, SchedulerWorld.Spec([new TestNode(NodeId.New(), TenantId.New(), "absent", $"absent-{i}", "hub-1", 0, [])], units: 5, seconds: 1));
        }

        var node = await world.NodeAsync("only-slot", slots: 1);
        world.AnswerWithResults(metered: 1);
        var spec = SchedulerWorld.Spec([node], units: 5, seconds: 1);
        await world.AcceptedAsync(creator, spec);

        Assert.Equal(JobStatus.Completed, (await world.EndedAsync(spec.JobId, creator)).Status);
    }

    [Fact]
    public async Task An_offer_that_found_no_session_is_made_again_without_blame()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("flaky", slots: 1);
        var asked = 0;
        world.Neighbours.OnOffer = _ => Task.FromResult(
            Interlocked.Increment(ref asked) <= 4 ? new LeaseOfferResponse(LeaseOfferOutcome.NoSession, 0, null) : new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        var spec = SchedulerWorld.Spec([node], units: 1);

        await world.AcceptedAsync(creator, spec);
        await SchedulerWorld.UntilAsync(
            "the first attempt to end", () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.attempts WHERE job_id = public.key_of($1) AND status = 'undelivered'", spec.JobId.Value), count => count == 1);
        await world.HeartbeatAsync(node);
        var last = (await world.OffersAsync(spec.JobId, 5))[4];
        await world.RunningAsync(last);

        Assert.Equal(2, last.AttemptNumber);
        Assert.Equal(["undelivered", "running"], (await world.JobAsync(spec.JobId, creator))!.Units[0].Attempts.Select(attempt => attempt.Status));
    }

    [Fact]
    public async Task An_unanswered_offer_keeps_its_slot_and_is_not_repeated_before_the_node_confirms()
    {
        var creator = await world.CreatorAsync();
        var nodes = new[] { await world.NodeAsync("silent", slots: 1), await world.NodeAsync("spare", slots: 1) };
        var confirm = false;
        world.Neighbours.OnOffer = offer => Task.FromResult(
            offer.AttemptNumber == 1 ? new LeaseOfferResponse(LeaseOfferOutcome.NotAcknowledged, 5000, null) : new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        world.Neighbours.OnRevocation = _ => confirm ? new LeaseRevocationResponse(true) : new LeaseRevocationResponse(false);
        var spec = SchedulerWorld.Spec(nodes, units: 1);

        await world.AcceptedAsync(creator, spec);
        var first = (await world.OffersAsync(spec.JobId, 1))[0];
        await SchedulerWorld.UntilAsync("two revocations", () => Task.FromResult(world.Neighbours.Revocations.Count(r => r.AttemptId == first.AttemptId)), count => count >= 2);
        Assert.Equal("offered", await world.StatusAsync(first.AttemptId));
        Assert.Single(world.Neighbours.Offers, offer => offer.JobId == spec.JobId);

        confirm = true;
        var second = (await world.OffersAsync(spec.JobId, 2))[1];
        Assert.Equal("revoked", await world.StatusAsync(first.AttemptId));
        Assert.Equal(2, second.AttemptNumber);
        Assert.Equal(ResultOutcome.StaleToken, (await world.ReportAsync(first)).Outcome);
    }

    [Fact]
    public async Task An_unanswered_offer_that_the_node_names_when_it_comes_back_is_left_running()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("cut-off", slots: 1);
        var bystander = await world.NodeAsync("bystander", slots: 1);
        world.Neighbours.OnOffer = _ => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.NotAcknowledged, 5000, null));
        world.Neighbours.OnRevocation = revocation => new LeaseRevocationResponse(revocation.NodeId == bystander.NodeId);
        var spec = SchedulerWorld.Spec([node], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];

        await world.NodeAsync("cut-off", slots: 1, id: node.NodeId, owner: node.Owner, keyId: node.KeyId, running: [offer.AttemptId]);
        var named = world.Neighbours.Revocations.Count(r => r.AttemptId == offer.AttemptId);
        var other = SchedulerWorld.Spec([bystander], units: 1);
        await world.AcceptedAsync(creator, other);
        await SchedulerWorld.UntilAsync("a later offer to be taken back", () => Task.FromResult(world.Neighbours.Revocations.Any(r => r.NodeId == bystander.NodeId)), seen => seen);

        world.Neighbours.OnOffer = _ => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        world.Neighbours.OnRevocation = _ => new LeaseRevocationResponse(true);
        Assert.InRange(world.Neighbours.Revocations.Count(r => r.AttemptId == offer.AttemptId), named, named + 1);
        Assert.Equal("offered", await world.StatusAsync(offer.AttemptId));
        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(offer)).Outcome);
    }

    [Fact]
    public async Task A_late_result_of_an_unanswered_offer_is_taken()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("late", slots: 1);
        world.Neighbours.OnOffer = _ => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.NotAcknowledged, 5000, null));
        world.Neighbours.OnRevocation = _ => null;
        var spec = SchedulerWorld.Spec([node], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];

        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(offer)).Outcome);

        var kinds = (await world.TaskAsync(offer.TaskId, creator))!.Events.Select(e => e.Kind);
        Assert.Equal([JobEventKind.Submitted, JobEventKind.StatusChanged, JobEventKind.UnitLeased, JobEventKind.UnitCompleted, JobEventKind.StatusChanged], kinds);
    }

    [Fact]
    public async Task Without_actors_the_tables_still_decide()
    {
        world.Neighbours.ActorsAway = true;
        try
        {
            var creator = await world.CreatorAsync();
            var node = await world.NodeAsync("no-actors", slots: 2);
            world.AnswerWithResults(metered: 1);
            var spec = SchedulerWorld.Spec([node], units: 5);
            await world.AcceptedAsync(creator, spec);

            Assert.Equal(JobStatus.Completed, (await world.EndedAsync(spec.JobId, creator)).Status);
        }
        finally
        {
            world.Neighbours.ActorsAway = false;
        }
    }

    [Fact]
    public async Task A_short_job_is_not_kept_waiting_by_a_long_one()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("shared", slots: 1);
        var order = new System.Collections.Concurrent.ConcurrentQueue<JobId>();
        var bothWait = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Neighbours.OnOffer = offer =>
        {
            order.Enqueue(offer.JobId);
            _ = Task.Run(async () =>
            {
                await bothWait.Task;
                await world.ReportAsync(offer, metered: 1);
            });
            return Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        };
        var longJob = SchedulerWorld.Spec([node], units: 40, seconds: 1);
        var shortJob = SchedulerWorld.Spec([node], units: 1, seconds: 1);
        await world.AcceptedAsync(creator, longJob);
        await world.AcceptedAsync(creator, shortJob);
        bothWait.SetResult();

        await world.EndedAsync(longJob.JobId, creator);

        Assert.True(order.ToList().IndexOf(shortJob.JobId) < 38, "the short job came last");
    }

    /// <summary>Units that wait with a claim of the test's own; the node has no key for them, so the placer leaves them alone.</summary>
    private async Task<List<LeaseRequest>> ParkedUnitsAsync(TestNode node, int units)
    {
        var creator = await world.CreatorAsync();
        var absent = node with { KeyId = $"absent-{node.NodeId}" };
        var spec = SchedulerWorld.Spec([absent], units: units);
        await world.AcceptedAsync(creator, spec);
        await SchedulerWorld.UntilAsync(
            "all units to be parked",
            () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = public.key_of($1) AND state = 'parked'", spec.JobId.Value), count => count == units);
        var claim = Guid.CreateVersion7();
        await world.ScalarAsync<long>(
            "WITH taken AS (UPDATE scheduler.pending_units SET state = 'claimed', claim_id = $2, claimed_until = now() + interval '1 hour' WHERE job_id = public.key_of($1) RETURNING 1) SELECT count(*) FROM taken",
            spec.JobId.Value, claim);
        return [.. Enumerable.Range(0, units).Select(unit => new LeaseRequest(
            node.NodeId, node.Epoch, TaskIds.KeyOf(creator, spec.JobId), unit, claim, absent.KeyId, DateTimeOffset.UtcNow, NoDecision))];
    }

    public sealed class Fixture : WorldFixture
    {
        protected override Dictionary<string, string?> Settings => new()
        {
            ["Scheduler:UnacknowledgedSeconds"] = "1", ["Scheduler:RevocationRetrySeconds"] = "1",
        };
    }
}
