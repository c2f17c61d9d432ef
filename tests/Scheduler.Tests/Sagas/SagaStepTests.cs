using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

/// <summary>Single steps against the tables, with no saga around: it is kept away by a start that never comes.</summary>
public sealed class SagaStepTests(SagaStepTests.Fixture fixture) : IClassFixture<SagaStepTests.Fixture>
{
    private readonly SchedulerWorld world = fixture.World;

    private SagaSteps Steps => world.Services.GetRequiredService<SagaSteps>();

    [Fact]
    public async Task A_failure_leaves_its_unit_undecided_and_tells_the_saga_all_that_the_decision_needs()
    {
        var (job, failure, nodes) = await UndecidedAsync(nodes: 2);

        Assert.Equal("undecided", await UnitAsync(job));
        Assert.Equal((1, 2, true, false, UnitLane.Fleet, "module_failed"), (failure.FailedNodes, failure.FailuresPerUnit, failure.AnotherNodeCouldRun, failure.OverflowAllowed, failure.Lane, failure.FailureClass));
        Assert.DoesNotContain(world.Neighbours.Offers, offer => offer.NodeId == nodes[1].NodeId);
    }

    [Fact]
    public async Task Undoing_a_retry_takes_the_unit_back_from_the_node_that_has_got_it()
    {
        var (job, failure, _) = await UndecidedAsync(nodes: 2);
        var call = new StepCall(SagaStepName.RetryElsewhere, job, failure);
        Assert.Equal(StepOutcome.Done, await Steps.CallAsync(call, CancellationToken.None));
        var second = await SchedulerWorld.UntilAsync(
            "the second offer", () => Task.FromResult(world.Neighbours.Offers.FirstOrDefault(offer => offer.TaskId.Value == job.Value && offer.AttemptNumber == 2)), offer => offer is not null);
        await world.RunningAsync(second!);

        await Steps.CallAsync(call with { Undo = true }, CancellationToken.None);
        await Steps.CallAsync(call with { Undo = true }, CancellationToken.None);

        Assert.Equal("undecided", await UnitAsync(job));
        Assert.Equal(ResultOutcome.StaleToken, (await world.ReportAsync(second!)).Outcome);
        Assert.Equal(0, await world.CapturedOfKeyAsync(job));
        Assert.Equal(StepOutcome.AlreadyDone, await Steps.CallAsync(call, CancellationToken.None));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task Overflow_needs_the_creators_word_and_a_key_of_an_overflow_node(bool allowed, bool sealedToOne)
    {
        var (job, failure, nodes) = await UndecidedAsync(nodes: 2, allowed);
        if (sealedToOne)
        {
            await world.ScalarAsync<long>("WITH added AS (INSERT INTO scheduler.overflow_keys (recipient_key_id) VALUES ($1) RETURNING 1) SELECT count(*) FROM added", nodes[1].KeyId);
        }

        var call = new StepCall(SagaStepName.Overflow, job, failure);
        var outcome = await Steps.CallAsync(call, CancellationToken.None);

        Assert.Equal(allowed && sealedToOne ? StepOutcome.Done : StepOutcome.NotAllowed, outcome);
        Assert.Equal(allowed && sealedToOne ? "overflow" : "fleet", await world.ScalarAsync<string>("SELECT lane FROM scheduler.units WHERE job_id = $1", job.Value));
        Assert.Equal(allowed && sealedToOne ? 0 : 1, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.saga_signals WHERE job_id = $1 AND kind = 'unitFailed'", job.Value));
        await Steps.CallAsync(call with { Undo = true }, CancellationToken.None);
        Assert.Equal(("undecided", "fleet"), (await UnitAsync(job), await world.ScalarAsync<string>("SELECT lane FROM scheduler.units WHERE job_id = $1", job.Value)));
    }

    [Fact]
    public async Task Settling_closes_a_hold_that_was_left_open_and_corrects_the_jobs_own_sum()
    {
        var creator = await world.CreatorAsync();
        var spec = SchedulerWorld.Spec([await world.NodeAsync("settles")], units: 1);
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        await world.ReportAsync(offer, metered: 60);
        await world.EndedAsync(spec.JobId, creator);
        var job = TaskIds.KeyOf(creator, spec.JobId);
        var captured = await world.CapturedAsync(spec.JobId);
        await world.ScalarAsync<long>(
            "WITH wrong AS (UPDATE scheduler.jobs SET charged_microcredits = charged_microcredits + 1 WHERE job_id = $1 RETURNING 1) SELECT count(*) FROM wrong", job.Value);

        await SchedulerWorld.UntilAsync("the books", () => Steps.CallAsync(new StepCall(SagaStepName.Settle, job), CancellationToken.None), outcome => outcome == StepOutcome.Done);

        Assert.Equal(captured, await world.ScalarAsync<long>("SELECT charged_microcredits FROM scheduler.jobs WHERE job_id = $1", job.Value));
        Assert.True((await world.JobAsync(spec.JobId, creator))!.Money.HoldClosed);
    }

    [Fact]
    public async Task A_job_that_has_not_ended_is_neither_settled_nor_recorded()
    {
        var (job, _, _) = await UndecidedAsync(nodes: 1);

        await Assert.ThrowsAsync<InvalidOperationException>(() => Steps.CallAsync(new StepCall(SagaStepName.Settle, job), CancellationToken.None));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Steps.CallAsync(new StepCall(SagaStepName.RecordEvidence, job), CancellationToken.None));
    }

    [Fact]
    public async Task Waiting_makes_the_hold_last_as_long_as_the_job_may()
    {
        var (job, _, _) = await UndecidedAsync(nodes: 1);
        await world.ScalarAsync<long>(
            "WITH moved AS (UPDATE scheduler.jobs SET deadline_at = now() + interval '10 days' WHERE job_id = $1 RETURNING 1) SELECT count(*) FROM moved", job.Value);

        Assert.Equal(StepOutcome.Done, await Steps.CallAsync(new StepCall(SagaStepName.AwaitOutcome, job), CancellationToken.None));

        Assert.True(await world.ScalarAsync<bool>("SELECT expires_at > now() + interval '10 days' FROM ledger.holds WHERE hold_id = $1", job.Value));
    }

    [Fact]
    public async Task Evidence_says_who_held_what_and_what_it_cost_in_pages_that_stay_small()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("evidence", slots: 1);
        var spec = SchedulerWorld.Spec([node], units: 1001, seconds: 1);
        var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        await world.ReportAsync(offer, metered: 1);
        var job = TaskIds.KeyOf(creator, spec.JobId);

        // As if the other units had been tried once each.
        await world.ScalarAsync<long>(
            """
            WITH tried AS (
                INSERT INTO scheduler.attempts (attempt_id, job_id, unit_index, number, node_id, slot, epoch, hub_app_id, status, ready_at, leased_at, lease_expires_at)
                SELECT gen_random_uuid(), u.job_id, u.unit_index, 90, $2, 0, 1, 'hub-1', 'refused', now(), now(), now()
                FROM scheduler.units u WHERE u.job_id = $1 RETURNING 1)
            SELECT count(*) FROM tried
            """,
            job.Value, node.NodeId.Value);
        await world.CancelAsync(taskId, creator);

        Assert.Equal(StepOutcome.Done, await Steps.CallAsync(new StepCall(SagaStepName.RecordEvidence, job), CancellationToken.None));
        Assert.Equal(StepOutcome.AlreadyDone, await Steps.CallAsync(new StepCall(SagaStepName.RecordEvidence, job), CancellationToken.None));

        var facts = await SchedulerWorld.UntilAsync(
            "the evidence",
            () => Task.FromResult(world.Neighbours.Published.Where(m => m.Topic == Topics.Evidence && m.Body.Contains(spec.JobId.ToString(), StringComparison.Ordinal)).Select(m => Data(m.Body)).ToList()),
            messages => messages.Count == 4);
        var end = facts.Single(fact => fact.GetProperty("kind").GetString() == "scheduler.jobEnded").GetProperty("facts");
        Assert.Equal(("canceled", 1001, 1), (end.GetProperty("status").GetString(), end.GetProperty("unitCount").GetInt32(), end.GetProperty("unitsCompleted").GetInt32()));
        Assert.Equal(
            end.GetProperty("heldMicrocredits").GetInt64(), end.GetProperty("chargedMicrocredits").GetInt64() + end.GetProperty("releasedMicrocredits").GetInt64());
        var attempts = facts.Where(fact => fact.GetProperty("kind").GetString() == "scheduler.jobCustody").SelectMany(fact => fact.GetProperty("facts").GetProperty("attempts").EnumerateArray()).ToList();
        Assert.Equal(1001, attempts.Select(attempt => attempt.GetProperty("unitIndex").GetInt32()).Distinct().Count());
        var completed = attempts.Single(attempt => attempt.GetProperty("status").GetString() == "completed");
        Assert.Equal((node.KeyId, offer.FencingToken), (completed.GetProperty("recipientKeyId").GetString(), completed.GetProperty("fencingToken").GetInt64()));
        Assert.Equal(new string('c', 64), completed.GetProperty("outputs")[0].GetProperty("blobSha256").GetString());
        Assert.False(completed.GetProperty("outputs")[0].TryGetProperty("grants", out _));
    }

    /// <summary>A job of one unit whose first attempt failed; the saga has not decided, and never will by itself.</summary>
    private async Task<(JobId Job, UnitFailure Failure, List<TestNode> Nodes)> UndecidedAsync(int nodes, bool allowOverflow = false)
    {
        var creator = await world.CreatorAsync();
        var fleet = new List<TestNode>();
        for (var index = 0; index < nodes; index++)
        {
            fleet.Add(await world.NodeAsync($"undecided-{index}", slots: 1));
        }

        var spec = SchedulerWorld.Spec(fleet, units: 1) with { AllowOverflow = allowOverflow };
        await world.AcceptedAsync(creator, spec);
        var offer = (await world.OffersAsync(spec.JobId, 1))[0];
        await world.RunningAsync(offer);
        await world.ReportAsync(offer, succeeded: false, failureClass: "module_failed");
        var job = TaskIds.KeyOf(creator, spec.JobId);
        var body = await world.ScalarAsync<string>("SELECT body::text FROM scheduler.saga_signals WHERE job_id = $1 AND kind = 'unitFailed'", job.Value);
        return (job, JsonSerializer.Deserialize<UnitFailure>(body, WireJson.Options)!, [.. fleet.OrderByDescending(node => node.NodeId == offer.NodeId)]);
    }

    private Task<string> UnitAsync(JobId job) => world.ScalarAsync<string>("SELECT status FROM scheduler.units WHERE job_id = $1 AND unit_index = 0", job.Value);

    private static JsonElement Data(string body)
    {
        var message = JsonDocument.Parse(body).RootElement;
        return message.TryGetProperty("data", out var data) ? data : message;
    }

    public sealed class Fixture : WorldFixture
    {
        protected override Action<IServiceCollection> Services => services => services.AddSingleton<IJobSagaEngine, NoEngine>();
    }

    /// <summary>Takes everything and does nothing.</summary>
    private sealed class NoEngine : IJobSagaEngine
    {
        public Task<bool> StartAsync(JobSagaState state, CancellationToken cancellationToken) => Task.FromResult(true);

        public Task<bool> RaiseAsync(JobId jobId, SagaSignal signal, CancellationToken cancellationToken) => Task.FromResult(true);

        public Task ForgetAsync(JobId jobId, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
