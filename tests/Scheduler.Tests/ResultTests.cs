using System.Net;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Results;

namespace RenderTrust.Scheduler.Tests;

public sealed class ResultTests(WorldFixture fixture) : IClassFixture<WorldFixture>
{
    private readonly SchedulerWorld world = fixture.World.Fresh();

    [Fact]
    public async Task A_result_reported_twenty_times_at_once_counts_once()
    {
        var (creator, spec, offer) = await OneUnitAsync();

        var responses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => world.ReportAsync(offer)));

        Assert.Single(responses, response => response.Outcome == ResultOutcome.Accepted);
        Assert.Equal(19, responses.Count(response => response.Outcome == ResultOutcome.AlreadyAccepted));
        Assert.Equal(1, await world.ScalarAsync<long>("SELECT count(*) FROM ledger.captures WHERE hold_id = public.key_of($1)", spec.JobId.Value));
        var job = (await world.JobAsync(spec.JobId, creator))!;
        Assert.Equal(JobStatus.Completed, job.Status);
        Assert.Equal(1, job.UnitsCompleted);
    }

    [Fact]
    public async Task A_token_that_is_not_the_attempts_is_refused()
    {
        var (_, _, offer) = await OneUnitAsync();

        Assert.Equal(ResultOutcome.StaleToken, (await world.ReportAsync(offer, token: offer.FencingToken - 1)).Outcome);
        Assert.Equal(ResultOutcome.StaleToken, (await world.ReportAsync(offer, token: offer.FencingToken + 1)).Outcome);
        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(offer)).Outcome);
    }

    [Fact]
    public async Task Another_nodes_attempt_looks_like_none()
    {
        var (_, _, offer) = await OneUnitAsync();
        var other = await world.NodeAsync("other");

        Assert.Equal(ResultOutcome.UnknownAttempt, (await world.ReportAsync(offer with { NodeId = other.NodeId })).Outcome);
        Assert.Equal(ResultOutcome.UnknownAttempt, (await world.ReportAsync(offer with { AttemptId = AttemptId.New() })).Outcome);
    }

    [Fact]
    public async Task Metered_time_is_bounded_by_our_clock_and_by_the_cap()
    {
        var (creator, spec, offer) = await OneUnitAsync(seconds: 3600);

        await world.ReportAsync(offer, metered: 3_600_000);

        var job = (await world.JobAsync(spec.JobId, creator))!;
        var attempt = job.Units[0].Attempts[0];
        Assert.InRange(attempt.MeteredMilliseconds!.Value, 0, (long)(attempt.EndedAt!.Value - attempt.LeasedAt).TotalMilliseconds + 1);
        Assert.Equal(Pricing.Charge(attempt.MeteredMilliseconds.Value, 100_000), job.Money.ChargedMicrocredits);
        Assert.Equal(5, ResultRules.Metered(10, TimeSpan.FromMilliseconds(5), 60));
        Assert.Equal(1000, ResultRules.Metered(long.MaxValue, TimeSpan.FromHours(1), 1));
        Assert.Equal(0, ResultRules.Metered(-5, TimeSpan.FromHours(1), 1));
    }

    [Fact]
    public async Task Shares_are_exact_and_an_own_node_earns_nothing()
    {
        var creator = await world.CreatorAsync();
        foreach (var own in new[] { false, true })
        {
            var node = await world.NodeAsync($"shares-{own}", owner: own ? creator : null);
            var spec = SchedulerWorld.Spec([node], units: 1);
            await world.AcceptedAsync(creator, spec);
            var offer = (await world.OffersAsync(spec.JobId, 1))[0];
            await Task.Delay(60);
            await world.ReportAsync(offer, metered: 50);

            var money = (await world.EndedAsync(spec.JobId, creator)).Money;

            var charge = Pricing.Charge(50, 100_000);
            var nodeShare = own ? 0 : Pricing.Charge(50, 40_000);
            var developer = (charge - nodeShare) * 70 / 100;
            Assert.Equal((charge, nodeShare, developer, charge - nodeShare - developer), (money.ChargedMicrocredits, money.NodeEarnedMicrocredits, money.DeveloperEarnedMicrocredits, money.PlatformEarnedMicrocredits));
            Assert.Equal(money.HeldMicrocredits - charge, money.ReleasedMicrocredits);
        }
    }

    [Fact]
    public async Task A_failed_unit_goes_to_another_node_and_completes_there()
    {
        var creator = await world.CreatorAsync();
        var nodes = new[] { await world.NodeAsync("first", slots: 1), await world.NodeAsync("second", slots: 1) };
        var spec = SchedulerWorld.Spec(nodes, units: 1);
        await world.AcceptedAsync(creator, spec);
        var first = (await world.OffersAsync(spec.JobId, 1))[0];

        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(first, succeeded: false, failureClass: "module_failed")).Outcome);
        var second = (await world.OffersAsync(spec.JobId, 2))[1];
        await world.ReportAsync(second);

        Assert.NotEqual(first.NodeId, second.NodeId);
        Assert.True(second.FencingToken > first.FencingToken);
        Assert.Equal(2, second.AttemptNumber);
        var job = await world.EndedAsync(spec.JobId, creator);
        Assert.Equal(JobStatus.Completed, job.Status);
        Assert.Equal(["failed", "completed"], job.Units[0].Attempts.Select(attempt => attempt.Status));
        Assert.Contains("failed there", job.Units[0].Attempts[1].Decision.Candidates.Single(c => c.NodeId == first.NodeId).RefusedBecause, StringComparison.Ordinal);
        Assert.Equal(ResultOutcome.AlreadyAccepted, (await world.ReportAsync(first, succeeded: false)).Outcome);
    }

    [Fact]
    public async Task Two_failures_on_different_nodes_fail_the_job_with_its_cause_and_keep_what_was_completed()
    {
        var creator = await world.CreatorAsync();
        var nodes = new[] { await world.NodeAsync("a", slots: 1), await world.NodeAsync("b", slots: 1), await world.NodeAsync("c", slots: 3) };
        var spec = SchedulerWorld.Spec(nodes, units: 5);
        await world.AcceptedAsync(creator, spec);
        var offers = await world.OffersAsync(spec.JobId, 5);
        var done = offers.First(offer => offer.NodeId == nodes[2].NodeId);
        await world.ReportAsync(done, metered: 5);
        var failing = offers.First(offer => offer.NodeId != nodes[2].NodeId);
        await world.ReportAsync(failing, succeeded: false, failureClass: "module_failed");
        var again = await SchedulerWorld.UntilAsync(
            "the second attempt", () => Task.FromResult(world.Neighbours.Offers.FirstOrDefault(o => o.JobId == spec.JobId && o.UnitIndex == failing.UnitIndex && o.AttemptNumber == 2)), o => o is not null);
        await world.ReportAsync(again!, succeeded: false, failureClass: "out_of_memory");

        var job = await world.EndedAsync(spec.JobId, creator);

        Assert.Equal(JobStatus.Failed, job.Status);
        Assert.Contains("out_of_memory", job.Reason, StringComparison.Ordinal);
        Assert.Equal(1, job.UnitsFailed);
        Assert.True(job.Money.HoldClosed);
        Assert.Equal(job.Money.HeldMicrocredits - job.Money.ChargedMicrocredits, job.Money.ReleasedMicrocredits);
        Assert.Equal("failed", job.Units[failing.UnitIndex].Status);
        Assert.Equal("completed", job.Units[done.UnitIndex].Status);
        await NothingWaitsOrRunsAsync(spec.JobId);
        Assert.Equal(ResultOutcome.JobEnded, (await world.ReportAsync(offers.First(offer => offer != failing && offer != done))).Outcome);
    }

    [Fact]
    public async Task The_only_node_failing_fails_the_job()
    {
        var (creator, spec, offer) = await OneUnitAsync();

        await world.ReportAsync(offer, succeeded: false, failureClass: "asset_corrupt");

        var job = await world.EndedAsync(spec.JobId, creator);
        Assert.Equal(JobStatus.Failed, job.Status);
        Assert.Contains("No other node can run it", job.Reason, StringComparison.Ordinal);
        Assert.Equal(0, job.Money.ChargedMicrocredits);
    }

    [Fact]
    public async Task Success_without_an_output_is_a_failure_and_is_not_paid()
    {
        var (creator, spec, offer) = await OneUnitAsync();

        await world.PostAsync<UnitResultReport, UnitResultResponse>("/internal/results", new UnitResultReport(
            offer.NodeId, offer.Epoch, offer.AttemptId, offer.FencingToken, true, 10, [], null, null, DateTimeOffset.UtcNow));

        var job = await world.EndedAsync(spec.JobId, creator);
        Assert.Equal("no_output", job.Units[0].Attempts[0].FailureClass);
        Assert.Equal(0, job.Money.ChargedMicrocredits);
    }

    [Theory]
    [InlineData("scheduler.attempts")]
    [InlineData("scheduler.units")]
    [InlineData("scheduler.jobs")]
    [InlineData("scheduler.job_events")]
    [InlineData("scheduler.outbox")]
    [InlineData("ledger.captures")]
    [InlineData("ledger.holds")]
    public async Task Failing_at_any_step_of_settling_moves_no_money_and_the_repeat_settles(string table)
    {
        var (creator, spec, offer) = await OneUnitAsync();
        foreach (var atCommit in new[] { false, true })
        {
            await using (await Sabotage.OnInsertAsync(world.Admin, table, atCommit))
            {
                using var response = await world.SendAsync(HttpMethod.Post, "/internal/results", new UnitResultReport(
                    offer.NodeId, offer.Epoch, offer.AttemptId, offer.FencingToken, true, 1, [new UnitOutput(Guid.CreateVersion7(), new string('c', 64), 1, new string('d', 64), [])],
                    null, null, DateTimeOffset.UtcNow));
                Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
            }

            Assert.Equal("running", await world.StatusAsync(offer.AttemptId));
            Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM ledger.captures WHERE hold_id = public.key_of($1)", spec.JobId.Value));
            Assert.False((await world.JobAsync(spec.JobId, creator))!.Money.HoldClosed);
        }

        Assert.Equal(ResultOutcome.Accepted, (await world.ReportAsync(offer, metered: 1)).Outcome);
        var job = await world.EndedAsync(spec.JobId, creator);
        Assert.Equal(JobStatus.Completed, job.Status);
        Assert.True(job.Money.HoldClosed);
    }

    [Fact]
    public async Task A_result_racing_a_cancellation_is_either_paid_or_refused_and_never_both()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("racer", slots: 4);
        var seen = new HashSet<JobStatus>();
        for (var round = 0; round < 12; round++)
        {
            var spec = SchedulerWorld.Spec([node], units: 2);
            var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
            var offers = await world.OffersAsync(spec.JobId, 2);
            await Task.WhenAll(offers.Select(world.RunningAsync));

            var reporting = offers.Select(offer => world.ReportAsync(offer, metered: 1)).ToArray();
            var cancel = await world.CancelAsync(taskId, creator);
            var reports = await Task.WhenAll(reporting);

            var accepted = reports.Count(report => report.Outcome == ResultOutcome.Accepted);
            Assert.All(reports, report => Assert.True(report.Outcome is ResultOutcome.Accepted or ResultOutcome.JobEnded, report.ToString()));
            var job = (await world.JobAsync(spec.JobId, creator))!;
            Assert.Equal(cancel.Outcome == CancelOutcome.Canceled ? JobStatus.Canceled : JobStatus.Completed, job.Status);
            Assert.Equal(accepted, job.UnitsCompleted);
            Assert.Equal(accepted, (int)await world.ScalarAsync<long>("SELECT count(*) FROM ledger.captures WHERE hold_id = public.key_of($1)", spec.JobId.Value));
            Assert.Equal(job.Money.ChargedMicrocredits, await world.ScalarAsync<long>("SELECT charged_microcredits FROM scheduler.jobs WHERE job_id = public.key_of($1)", spec.JobId.Value));
            Assert.True(job.Money.HoldClosed);
            var ends = (await world.TaskAsync(taskId, creator))!.Events.Count(e => e.Body.Status is JobStatus.Completed or JobStatus.Canceled or JobStatus.Failed);
            Assert.Equal(1, ends);
            await NothingWaitsOrRunsAsync(spec.JobId);
            seen.Add(job.Status);
        }

        Assert.NotEmpty(seen);
    }

    [Fact]
    public async Task Progress_shows_and_starts_what_was_not_yet_acknowledged()
    {
        var unanswered = new TaskCompletionSource<LeaseOfferResponse>();
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("progress");
        world.Neighbours.OnOffer = offer => offer.NodeId == node.NodeId ? unanswered.Task : Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        var spec = SchedulerWorld.Spec([node], units: 1);
        var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];

        using var response = await world.SendAsync(HttpMethod.Post, "/internal/progress", new ProgressBatch(
            [new(offer.NodeId, offer.Epoch, offer.AttemptId, offer.FencingToken, 0.5), new(offer.NodeId, offer.Epoch, offer.AttemptId, offer.FencingToken - 1, 0.9), new(offer.NodeId, offer.Epoch, AttemptId.New(), 1, 0.9), new(offer.NodeId, offer.Epoch, offer.AttemptId, offer.FencingToken, 7)]));
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        unanswered.SetResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));

        var task = (await world.TaskAsync(taskId, creator))!;
        Assert.Equal([JobEventKind.Submitted, JobEventKind.StatusChanged, JobEventKind.UnitLeased, JobEventKind.UnitProgress], task.Events.Select(e => e.Kind));
        Assert.Equal(0.5, task.Events[^1].Body.Progress);
    }

    private async Task<(TenantId Creator, JobSpec Spec, LeaseOffer Offer)> OneUnitAsync(int seconds = 60)
    {
        var creator = await world.CreatorAsync(1_000_000_000);
        var spec = SchedulerWorld.Spec([await world.NodeAsync()], units: 1, seconds: seconds);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        return (creator, spec, offer);
    }

    private async Task NothingWaitsOrRunsAsync(JobId jobId)
    {
        Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = public.key_of($1)", jobId.Value));
        Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.attempts WHERE job_id = public.key_of($1) AND status IN ('offered', 'running')", jobId.Value));
        Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.units WHERE job_id = public.key_of($1) AND status IN ('pending', 'leased')", jobId.Value));
    }
}
