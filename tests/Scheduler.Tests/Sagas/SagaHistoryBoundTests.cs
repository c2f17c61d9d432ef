using System.Diagnostics;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

public sealed class SagaHistoryBoundTests(SagaHistoryBoundTests.Fixture fixture) : IClassFixture<SagaHistoryBoundTests.Fixture>
{
    private const int Units = 10_000;
    private static readonly int Failing = Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1" ? Units : 400;
    private readonly SchedulerWorld world = fixture.World;

    [Fact]
    public async Task A_job_of_ten_thousand_units_of_which_many_fail_leaves_a_history_of_bounded_size()
    {
        var creator = await world.CreatorAsync(1_000_000_000_000);
        var absent = new TestNode(NodeId.New(), TenantId.New(), "absent", $"absent-{Guid.CreateVersion7()}", "hub-1", 0, []);
        var spec = SchedulerWorld.Spec([absent], units: Units, seconds: 1, cap: 1_000_000_000_000);
        var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
        var job = TaskIds.KeyOf(creator, spec.JobId);
        await SchedulerWorld.UntilAsync(
            "all units to be parked", () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = $1 AND state = 'parked'", job.Value), count => count == Units);
        var started = Stopwatch.StartNew();

        await world.FailAllUnitsAsync(job, Failing);
        await SchedulerWorld.UntilAsync(
            "every unit to wait again",
            async () => (
                await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = $1", job.Value),
                await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.saga_signals WHERE job_id = $1", job.Value)),
            left => left == (Units, 0), seconds: 400);
        TestContext.Current.SendDiagnosticMessage($"{Failing} failures were decided in {started.Elapsed.TotalSeconds:0.0} s");
        await world.CancelAsync(taskId, creator);
        await SchedulerWorld.UntilAsync("the saga to end", () => Task.FromResult(world.Sagas.HasEnded(job)), ended => ended);

        Assert.InRange(world.Sagas.LongestHistory(job), 2, JobSaga.MostEntries);
        Assert.InRange(world.Sagas.Signals(job), Failing, Failing * 11 / 10);
    }

    public sealed class Fixture : WorldFixture
    {
        protected override Dictionary<string, string?> Settings => new() { ["Scheduler:Saga:StartDelaySeconds"] = "0" };
    }
}
