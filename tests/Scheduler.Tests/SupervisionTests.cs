using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Tests;

public sealed class SupervisionTests(SupervisionTests.Fixture fixture) : IClassFixture<SupervisionTests.Fixture>
{
    private readonly SchedulerWorld world = fixture.World.Fresh();

    [Fact]
    public async Task A_silent_nodes_unit_is_leased_elsewhere_and_its_late_result_is_refused()
    {
        var creator = await world.CreatorAsync();
        var first = await world.NodeAsync("goes-silent", slots: 1);
        var spec = SchedulerWorld.Spec([first], units: 1);
        var second = await world.NodeAsync("stays", slots: 1);
        spec = SchedulerWorld.Spec([first, second], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        var (silent, alive) = offer.NodeId == first.NodeId ? (first, second) : (second, first);

        var again = await BeatingAsync(alive, () => Task.FromResult(world.Neighbours.Offers.FirstOrDefault(o => o.JobId == spec.JobId && o.AttemptNumber == 2)), o => o is not null);

        Assert.Equal(alive.NodeId, again!.NodeId);
        Assert.Equal("lost", await world.StatusAsync(offer.AttemptId));
        Assert.Equal(1, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.attempts WHERE node_id = $1 AND status = 'lost'", silent.NodeId.Value));
        Assert.Equal(ResultOutcome.StaleToken, (await world.ReportAsync(offer)).Outcome);
        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(again, metered: 1)).Outcome);
        Assert.Equal(JobStatus.Completed, (await world.EndedAsync(spec.JobId, creator)).Status);
    }

    [Fact]
    public async Task A_lost_nodes_slot_stays_reserved_until_it_is_seen_and_has_stopped()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("comes-back", slots: 1);
        var spec = SchedulerWorld.Spec([node], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        await SchedulerWorld.UntilAsync("the node to be lost", () => world.StatusAsync(offer.AttemptId), status => status == "lost");

        await world.HeartbeatAsync(node);

        var revocation = await SchedulerWorld.UntilAsync("a revocation", () => Task.FromResult(world.Neighbours.Revocations.FirstOrDefault(r => r.AttemptId == offer.AttemptId)), r => r is not null);
        Assert.Equal(offer.FencingToken, revocation!.FencingToken);
        var again = await BeatingAsync(node, () => Task.FromResult(world.Neighbours.Offers.FirstOrDefault(o => o.JobId == spec.JobId && o.AttemptNumber == 2)), o => o is not null);
        Assert.True(again!.FencingToken > offer.FencingToken);
        Assert.Equal("revoked", await world.StatusAsync(offer.AttemptId));
    }

    [Fact]
    public async Task Epochs_rise_and_a_new_session_hears_which_attempts_live()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("reconnects", slots: 2);
        var spec = SchedulerWorld.Spec([node], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);

        var again = await world.NodeAsync("reconnects", slots: 2, id: node.NodeId, owner: node.Owner, keyId: node.KeyId, running: [offer.AttemptId]);

        Assert.Equal(node.Epoch + 1, again.Epoch);
        Assert.Equal([offer.AttemptId], again.LiveAttempts);
        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(offer)).Outcome);
    }

    [Fact]
    public async Task An_attempt_that_a_restarted_agent_no_longer_runs_is_tried_again()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("restarts", slots: 1);
        var spec = SchedulerWorld.Spec([node], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);

        var again = await world.NodeAsync("restarts", slots: 1, id: node.NodeId, owner: node.Owner, keyId: node.KeyId, running: []);
        var second = await BeatingAsync(again, () => Task.FromResult(world.Neighbours.Offers.FirstOrDefault(o => o.JobId == spec.JobId && o.AttemptNumber == 2)), o => o is not null);

        Assert.Equal(again.Epoch, second!.Epoch);
        Assert.Equal("revoked", await world.StatusAsync(offer.AttemptId));
        Assert.Equal(ResultOutcome.StaleToken, (await world.ReportAsync(offer)).Outcome);
    }

    [Fact]
    public async Task Beats_of_an_old_or_closed_session_do_not_revive_a_node()
    {
        var node = await world.NodeAsync("closes");
        await world.NodeAsync("closes", id: node.NodeId, owner: node.Owner, keyId: node.KeyId);
        using var stale = await world.SendAsync(HttpMethod.Post, "/internal/node-sessions/closed", new CloseNodeSessionRequest(node.NodeId, node.Epoch));
        Assert.Equal("online", await NodeStatusAsync(node));

        using var closed = await world.SendAsync(HttpMethod.Post, "/internal/node-sessions/closed", new CloseNodeSessionRequest(node.NodeId, node.Epoch + 1));
        await world.HeartbeatAsync(node, node with { Epoch = node.Epoch + 1 });

        Assert.Equal("offline", await NodeStatusAsync(node));
    }

    [Fact]
    public async Task The_deadline_fails_a_job_and_releases_its_hold()
    {
        var creator = await world.CreatorAsync(10_000_000);
        var node = await world.NodeAsync("slow", slots: 1);
        var spec = SchedulerWorld.Spec([node], units: 3, deadline: 10);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        await world.ScalarAsync<long>("WITH late AS (UPDATE scheduler.jobs SET deadline_at = now() WHERE job_id = public.key_of($1) RETURNING 1) SELECT count(*) FROM late", spec.JobId.Value);

        var job = await world.EndedAsync(spec.JobId, creator);

        Assert.Equal(JobStatus.Failed, job.Status);
        Assert.Contains("deadline", job.Reason, StringComparison.Ordinal);
        Assert.Equal(10_000_000, await world.AvailableAsync(creator));
        await SchedulerWorld.UntilAsync("the revocation", () => world.StatusAsync(offer.AttemptId), status => status == "revoked");
        Assert.Equal(ResultOutcome.JobEnded, (await world.ReportAsync(offer)).Outcome);
    }

    [Fact]
    public async Task A_node_that_does_not_confirm_holds_no_round_up()
    {
        var creator = await world.CreatorAsync();
        var stuck = await world.NodeAsync("does-not-confirm", slots: 1);
        var spec = SchedulerWorld.Spec([stuck], units: 1);
        var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        using var confirm = new ManualResetEventSlim();
        world.Neighbours.OnRevocation = revocation =>
        {
            if (revocation.AttemptId == offer.AttemptId)
            {
                confirm.Wait(TimeSpan.FromSeconds(30));
            }

            return new LeaseRevocationResponse(true);
        };
        try
        {
            await world.CancelAsync(taskId, creator);
            await SchedulerWorld.UntilAsync("the revocation", () => Task.FromResult(world.Neighbours.Revocations.Any(r => r.AttemptId == offer.AttemptId)), sent => sent);
            var late = SchedulerWorld.Spec([stuck], units: 1, deadline: 10);
            await world.AcceptedAsync(creator, late);
            await world.ScalarAsync<long>("WITH late AS (UPDATE scheduler.jobs SET deadline_at = now() WHERE job_id = public.key_of($1) RETURNING 1) SELECT count(*) FROM late", late.JobId.Value);

            Assert.Equal(JobStatus.Failed, (await world.EndedAsync(late.JobId, creator)).Status);
            Assert.Single(world.Neighbours.Revocations, revocation => revocation.AttemptId == offer.AttemptId);
        }
        finally
        {
            confirm.Set();
            world.Neighbours.OnRevocation = _ => new LeaseRevocationResponse(true);
        }
    }

    [Fact]
    public async Task A_cancellation_revokes_what_runs_frees_its_slot_and_pays_nothing_more()
    {
        var creator = await world.CreatorAsync(10_000_000);
        var node = await world.NodeAsync("canceled", slots: 1);
        var spec = SchedulerWorld.Spec([node], units: 3);
        var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);

        Assert.Equal(CancelOutcome.UnknownTask, (await world.CancelAsync(taskId, TenantId.New())).Outcome);
        var canceled = await world.CancelAsync(taskId, creator);
        Assert.Equal(CancelOutcome.AlreadyEnded, (await world.CancelAsync(taskId, creator)).Outcome);

        Assert.Equal(CancelOutcome.Canceled, canceled.Outcome);
        Assert.Equal(JobStatus.Canceled, canceled.Task!.Status);
        Assert.Equal(10_000_000, await world.AvailableAsync(creator));
        await SchedulerWorld.UntilAsync("the slot to be freed", () => world.StatusAsync(offer.AttemptId), status => status == "revoked");
        var next = SchedulerWorld.Spec([node], units: 1);
        await world.HeartbeatAsync(node);
        await world.AcceptedAsync(creator, next);
        await world.OffersAsync(next.JobId, 1);
    }

    [Fact]
    public async Task A_lease_past_its_time_is_the_nodes_failure()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("hangs", slots: 1);
        var spec = SchedulerWorld.Spec([node], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        await world.ScalarAsync<long>("WITH late AS (UPDATE scheduler.attempts SET lease_expires_at = now() WHERE attempt_id = $1 RETURNING 1) SELECT count(*) FROM late", offer.AttemptId.Value);

        var job = await world.EndedAsync(spec.JobId, creator);

        Assert.Equal(JobStatus.Failed, job.Status);
        Assert.Equal("timeout", job.Units[0].Attempts[0].FailureClass);
        Assert.Equal(0, job.Money.ChargedMicrocredits);
    }

    [Fact]
    public async Task Facts_leave_by_the_outbox()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("facts");
        world.AnswerWithResults(metered: 1);
        var spec = SchedulerWorld.Spec([node], units: 1);
        var task = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;

        await SchedulerWorld.UntilAsync(
            "usage, evidence and node event",
            () => Task.FromResult(string.Join(' ', world.Neighbours.Published.Where(m => m.Body.Contains(spec.JobId.ToString(), StringComparison.Ordinal) || m.Body.Contains(task.ToString(), StringComparison.Ordinal) || m.Body.Contains(node.NodeId.ToString(), StringComparison.Ordinal)).Select(m => $"{m.Component}/{m.Topic}").Distinct().Order())),
            seen => seen == "pubsub/evidence pubsub/node-events pubsub/usage");
        world.Neighbours.OnOffer = _ => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
    }

    /// <summary>Waits while a node keeps beating, so that it alone stays alive.</summary>
    private Task<T> BeatingAsync<T>(TestNode node, Func<Task<T>> look, Func<T, bool> done) =>
        SchedulerWorld.UntilAsync(
            "a condition beside a beating node",
            async () =>
            {
                await world.HeartbeatAsync(node);
                return await look();
            },
            done);

    private Task<string> NodeStatusAsync(TestNode node) => world.ScalarAsync<string>("SELECT status FROM scheduler.nodes WHERE node_id = $1", node.NodeId.Value);

    public sealed class Fixture : WorldFixture
    {
        protected override Dictionary<string, string?> Settings => new()
        {
            ["Scheduler:NodeLostAfterSeconds"] = "2", ["Scheduler:MissingAttemptGraceSeconds"] = "1", ["Scheduler:RevocationRetrySeconds"] = "1",
        };
    }
}
