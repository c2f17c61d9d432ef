using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

/// <summary>Signals reach their sagas whatever happens on the way, and take effect once.</summary>
public sealed class SagaRelayTests(SagaRelayTests.Fixture fixture) : IClassFixture<SagaRelayTests.Fixture>
{
    private readonly SchedulerWorld world = fixture.World;

    [Theory]
    [InlineData(Fate.IsRetried)]
    [InlineData(Fate.IsRefunded)]
    public async Task A_relay_that_dies_between_telling_and_noting_it_tells_again_and_nothing_happens_twice(Fate fate)
    {
        var scenario = await SagaScenario.PrepareAsync(world, fate);
        var lost = 0;
        world.Sagas.LosesAnswer = jobId => jobId == scenario.JobId && Interlocked.Increment(ref lost) > 0;

        await scenario.SubmitAsync();
        var job = await scenario.CleanSlateAsync(scenario.UndisturbedEnd);

        // A refund may be complete before the relay comes again, and then there is nothing left to tell.
        Assert.InRange(lost, fate == Fate.IsRetried ? 2 : 1, 1000);
        Assert.Equal(fate == Fate.IsRetried ? 2 : 1, job.Units[1].Attempts.Count);
        Assert.Equal(1, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.job_events WHERE job_id = $1 AND kind = 'unitFailed'", scenario.JobId.Value));
    }

    [Fact]
    public async Task A_signal_that_the_engine_lost_is_handed_over_again()
    {
        var scenario = await SagaScenario.PrepareAsync(world, Fate.IsRetried);
        var lostAt = new TaskCompletionSource();
        scenario.Strike(SagaStepName.RetryElsewhere, undo: false, Moment.Before, strikes: 1, () =>
        {
            world.Sagas.Crash(scenario.JobId);
            _ = Task.Run(async () =>
            {
                await world.Sagas.LoseAsync(scenario.JobId);
                lostAt.SetResult();
            });
        });

        await scenario.SubmitAsync();
        await lostAt.Task;

        await scenario.CleanSlateAsync(JobStatus.Completed);
    }

    [Fact]
    public async Task An_engine_that_is_away_delays_and_loses_nothing()
    {
        var scenario = await SagaScenario.PrepareAsync(world, Fate.IsRetried);
        world.Sagas.IsAway = true;
        try
        {
            await scenario.SubmitAsync();
            await SchedulerWorld.UntilAsync(
                "the unit to be undecided", () => world.ScalarAsync<string>("SELECT status FROM scheduler.units WHERE job_id = $1 AND unit_index = 1", scenario.JobId.Value), status => status == "undecided");
            Assert.False(world.Sagas.Knows(scenario.JobId));
        }
        finally
        {
            world.Sagas.IsAway = false;
        }

        await scenario.CleanSlateAsync(JobStatus.Completed);
    }

    [Fact]
    public async Task A_job_that_ends_while_its_unit_is_undecided_is_not_decided_any_more()
    {
        var scenario = await SagaScenario.PrepareAsync(world, Fate.IsRetried);
        world.Sagas.IsAway = true;
        try
        {
            await scenario.SubmitAsync();
            await SchedulerWorld.UntilAsync(
                "the unit to be undecided", () => world.ScalarAsync<string>("SELECT status FROM scheduler.units WHERE job_id = $1 AND unit_index = 1", scenario.JobId.Value), status => status == "undecided");
            Assert.Equal(CancelOutcome.Canceled, (await world.CancelAsync(new TaskId(scenario.JobId.Value), scenario.Creator)).Outcome);
        }
        finally
        {
            world.Sagas.IsAway = false;
        }

        var job = await scenario.CleanSlateAsync(JobStatus.Canceled);
        Assert.Single(job.Units[1].Attempts);
    }

    [Fact]
    public async Task Two_relays_at_once_hand_every_signal_over_and_nothing_happens_twice()
    {
        var scenarios = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => SagaScenario.PrepareAsync(world, Fate.IsRetried)));
        var second = ActivatorUtilities.CreateInstance<RelaySagaSignalsLoop>(world.Services);
        await second.StartAsync(TestContext.Current.CancellationToken);
        try
        {
            await Task.WhenAll(scenarios.Select(scenario => scenario.SubmitAsync()));
            await Task.WhenAll(scenarios.Select(scenario => scenario.CleanSlateAsync(JobStatus.Completed)));
        }
        finally
        {
            await second.StopAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task A_saga_with_trouble_of_its_own_keeps_no_other_waiting()
    {
        var (troubled, other) = (await SagaScenario.PrepareAsync(world, Fate.Completes), await SagaScenario.PrepareAsync(world, Fate.IsRetried));
        world.Sagas.Refuses[troubled.JobId] = true;

        await troubled.SubmitAsync();
        await other.SubmitAsync();

        await other.CleanSlateAsync(JobStatus.Completed);
        Assert.False(world.Sagas.Knows(troubled.JobId));
    }

    [Fact]
    public async Task A_finished_saga_is_forgotten_after_a_while_and_hears_nothing_more()
    {
        var scenario = await SagaScenario.PrepareAsync(world, Fate.Completes);
        await scenario.SubmitAsync();
        await scenario.CleanSlateAsync(JobStatus.Completed);
        await world.ScalarAsync<long>("WITH old AS (UPDATE scheduler.sagas SET done_at = now() - interval '2 hours' WHERE job_id = $1 RETURNING 1) SELECT count(*) FROM old", scenario.JobId.Value);

        await ActivatorUtilities.CreateInstance<ForgetSagasLoop>(world.Services).RoundAsync(TestContext.Current.CancellationToken);
        await world.ScalarAsync<long>(
            "WITH late AS (INSERT INTO scheduler.saga_signals (signal_id, job_id, kind, body, due_at) VALUES ($1::text || '/late', $1, 'ended', '{}', now()) RETURNING 1) SELECT count(*) FROM late",
            scenario.JobId.Value);
        await ActivatorUtilities.CreateInstance<RelaySagaSignalsLoop>(world.Services).RoundAsync(TestContext.Current.CancellationToken);

        Assert.False(world.Sagas.Knows(scenario.JobId));
        Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.sagas WHERE job_id = $1", scenario.JobId.Value));
    }

    public sealed class Fixture : WorldFixture
    {
        protected override Dictionary<string, string?> Settings => new()
        {
            ["Scheduler:RevocationRetrySeconds"] = "1", ["Scheduler:Saga:RedeliverSeconds"] = "1", ["Scheduler:Saga:StartDelaySeconds"] = "0",
        };
    }
}
