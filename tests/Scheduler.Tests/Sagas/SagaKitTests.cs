using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

/// <summary>Every step of the job saga fails before and after its effect, dies there, and is carried out twice; on real tables, with the ledger's real functions.</summary>
public sealed class SagaKitTests(SagaKitTests.Fixture fixture) : IClassFixture<SagaKitTests.Fixture>
{
    private const int Once = 1;
    private const int ForGood = int.MaxValue;
    private readonly SchedulerWorld world = fixture.World;

    [Theory]
    [InlineData(nameof(SagaStepName.AwaitOutcome), Fate.Completes)]
    [InlineData(nameof(SagaStepName.RetryElsewhere), Fate.IsRetried)]
    [InlineData(nameof(SagaStepName.Overflow), Fate.Overflows)]
    [InlineData(nameof(SagaStepName.Refund), Fate.IsRefunded)]
    [InlineData(nameof(SagaStepName.Settle), Fate.IsRefunded)]
    [InlineData(nameof(SagaStepName.RecordEvidence), Fate.IsRetried)]
    public async Task A_step_that_fails_once_ends_as_if_it_had_not(string step, Fate fate) =>
        await BothMomentsAsync(async moment =>
        {
            var scenario = await SagaScenario.PrepareAsync(world, fate);
            scenario.Strike(Enum.Parse<SagaStepName>(step), undo: false, moment, Once);
            await RunAsync(scenario, step);
        });

    [Theory]
    [InlineData(nameof(SagaStepName.AwaitOutcome), Fate.Completes)]
    [InlineData(nameof(SagaStepName.RetryElsewhere), Fate.IsRetried)]
    [InlineData(nameof(SagaStepName.Overflow), Fate.Overflows)]
    [InlineData(nameof(SagaStepName.Refund), Fate.IsRefunded)]
    [InlineData(nameof(SagaStepName.Settle), Fate.Completes)]
    [InlineData(nameof(SagaStepName.RecordEvidence), Fate.Completes)]
    public async Task A_process_that_dies_in_a_step_goes_on_where_it_was(string step, Fate fate) =>
        await BothMomentsAsync(async moment =>
        {
            var scenario = await SagaScenario.PrepareAsync(world, fate);
            scenario.Strike(Enum.Parse<SagaStepName>(step), undo: false, moment, Once, () => world.Sagas.Crash(scenario.JobId));
            await RunAsync(scenario, step);
        });

    [Theory]
    [InlineData(nameof(SagaStepName.RetryElsewhere), Fate.IsRetried)]
    [InlineData(nameof(SagaStepName.Overflow), Fate.Overflows)]
    public async Task A_step_that_fails_for_good_is_undone_and_the_job_refunded(string step, Fate fate) =>
        await BothMomentsAsync(async moment =>
        {
            var scenario = await SagaScenario.PrepareAsync(world, fate, lastNodeHangs: true);
            scenario.Strike(Enum.Parse<SagaStepName>(step), undo: false, moment, ForGood);
            await scenario.SubmitAsync();

            var job = await scenario.CleanSlateAsync(JobStatus.Failed);

            Assert.Contains("could not place it again", job.Reason, StringComparison.Ordinal);
            Assert.Equal(1, job.UnitsCompleted);
            Assert.Contains(world.Sagas.Calls(scenario.JobId), call => call.Undo && call.Step == Enum.Parse<SagaStepName>(step));
        });

    [Fact]
    public async Task A_saga_that_cannot_even_begin_refunds_the_job() =>
        await BothMomentsAsync(async moment =>
        {
            var scenario = await SagaScenario.PrepareAsync(world, Fate.IsRetried, lastNodeHangs: true);
            scenario.SagaComesFirst = true;
            scenario.Strike(SagaStepName.AwaitOutcome, undo: false, moment, ForGood);
            await scenario.SubmitAsync();

            await SchedulerWorld.UntilAsync("the saga to end", () => Task.FromResult(world.Sagas.HasEnded(scenario.JobId)), ended => ended);
            var job = (await world.JobAsync(scenario.ClientJobId, scenario.Creator))!;

            Assert.Equal(JobStatus.Failed, job.Status);
            Assert.True(job.Money.HoldClosed);
        });

    [Theory]
    [InlineData(nameof(SagaStepName.RetryElsewhere), Fate.IsRetried, Once)]
    [InlineData(nameof(SagaStepName.Overflow), Fate.Overflows, Once)]
    [InlineData(nameof(SagaStepName.RetryElsewhere), Fate.IsRetried, ForGood)]
    [InlineData(nameof(SagaStepName.Overflow), Fate.Overflows, ForGood)]
    public async Task An_undo_that_fails_is_repeated_then_parked_for_an_operator_and_never_skipped(string step, Fate fate, int strikes) =>
        await BothMomentsAsync(async moment =>
        {
            var scenario = await SagaScenario.PrepareAsync(world, fate, lastNodeHangs: true);
            var name = Enum.Parse<SagaStepName>(step);
            scenario.Strike(name, undo: false, Moment.After, ForGood);
            scenario.Strike(name, undo: true, moment, strikes);
            await scenario.SubmitAsync();
            if (strikes == ForGood)
            {
                await scenario.ParkedAsync();
                Assert.DoesNotContain(world.Sagas.Calls(scenario.JobId), call => call.Step == SagaStepName.Refund);
                scenario.Heal();
                await scenario.ResumeAsync();
            }

            await scenario.CleanSlateAsync(JobStatus.Failed);
        });

    [Theory]
    [InlineData(nameof(SagaStepName.Refund), Fate.IsRefunded)]
    [InlineData(nameof(SagaStepName.Settle), Fate.Completes)]
    [InlineData(nameof(SagaStepName.RecordEvidence), Fate.IsRefunded)]
    public async Task A_step_that_only_goes_forward_waits_for_an_operator(string step, Fate fate) =>
        await BothMomentsAsync(async moment =>
        {
            var scenario = await SagaScenario.PrepareAsync(world, fate);
            scenario.Strike(Enum.Parse<SagaStepName>(step), undo: false, moment, ForGood);
            await scenario.SubmitAsync();
            if ((step, moment) != (nameof(SagaStepName.RecordEvidence), Moment.After))
            {
                await scenario.ParkedAsync();
                await scenario.ResumeAsync();
                await scenario.ParkedAsync();
                scenario.Heal();
                await scenario.ResumeAsync();
            }

            // What was the last thing to do had its effect, and no operator could do more.

            await scenario.CleanSlateAsync(scenario.UndisturbedEnd);
        });

    [Theory]
    [InlineData(Fate.Completes, false)]
    [InlineData(Fate.IsRetried, false)]
    [InlineData(Fate.Overflows, false)]
    [InlineData(Fate.IsRefunded, false)]
    [InlineData(Fate.IsRetried, true)]
    [InlineData(Fate.Overflows, true)]
    public async Task Every_do_and_undo_carried_out_thrice_ends_as_once(Fate fate, bool undone)
    {
        var scenario = await SagaScenario.PrepareAsync(world, fate, lastNodeHangs: undone);
        world.Sagas.Twice[scenario.JobId] = true;
        if (undone)
        {
            scenario.Strike(SagaStepName.RetryElsewhere, undo: false, Moment.After, ForGood);
            scenario.Strike(SagaStepName.Overflow, undo: false, Moment.After, ForGood);
        }

        await scenario.SubmitAsync();

        var job = await scenario.CleanSlateAsync(undone ? JobStatus.Failed : scenario.UndisturbedEnd);
        Assert.Equal(fate == Fate.IsRefunded || undone ? 1 : 2, job.UnitsCompleted);
        Assert.InRange(job.Units[1].Attempts.Count, 1, 3);
    }

    private static Task BothMomentsAsync(Func<Moment, Task> act) => Task.WhenAll(act(Moment.Before), act(Moment.After));

    private async Task RunAsync(SagaScenario scenario, string step)
    {
        scenario.SagaComesFirst = step == nameof(SagaStepName.AwaitOutcome);
        await scenario.SubmitAsync();
        await scenario.CleanSlateAsync(scenario.UndisturbedEnd);
        Assert.Contains(world.Sagas.Calls(scenario.JobId), call => call.Step == Enum.Parse<SagaStepName>(step));
    }

    public sealed class Fixture : WorldFixture
    {
        protected override Dictionary<string, string?> Settings => new()
        {
            ["Scheduler:RevocationRetrySeconds"] = "1", ["Scheduler:Saga:RedeliverSeconds"] = "1", ["Scheduler:Saga:StartDelaySeconds"] = "0",
        };
    }
}
