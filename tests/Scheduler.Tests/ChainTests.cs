using RenderTrust.Contracts;
using RenderTrust.TestKit;

namespace RenderTrust.Scheduler.Tests;

public sealed class ChainTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task A_job_goes_from_submission_over_leases_to_its_settled_end()
    {
        await using var world = await SchedulerWorld.StartAsync(database);
        world.AnswerWithResults(metered: 1);
        var creator = await world.CreatorAsync(10_000_000);
        var node = await world.NodeAsync(slots: 3);
        var spec = SchedulerWorld.Spec([node], units: 8);

        var submitted = await world.SubmitAsync(creator, spec);
        Assert.Equal(SubmitOutcome.Accepted, submitted.Outcome);
        var job = await world.EndedAsync(spec.JobId, creator);

        Assert.Equal(JobStatus.Completed, job.Status);
        Assert.Equal(8, job.UnitsCompleted);
        Assert.All(job.Units, unit => Assert.Equal("completed", unit.Status));
        Assert.Equal(800_000, job.Money.HeldMicrocredits);
        Assert.True(job.Money.HoldClosed);
        Assert.Equal(job.Money.HeldMicrocredits, job.Money.ChargedMicrocredits + job.Money.ReleasedMicrocredits);
        Assert.Equal(job.Money.ChargedMicrocredits, job.Money.NodeEarnedMicrocredits + job.Money.DeveloperEarnedMicrocredits + job.Money.PlatformEarnedMicrocredits);
        // The acknowledgement of the last unit may come after its result.
        job = await SchedulerWorld.UntilAsync(
            "all dispatch figures", async () => (await world.JobAsync(spec.JobId, creator))!, seen => seen.Timings.Any(timing => timing is { Name: "dispatch", Count: 8 }));
        Assert.Contains(job.Timings, timing => timing.Name == "ledgerHandover" && timing.Count == 8);
        var task = (await world.TaskAsync(submitted.TaskId!.Value, creator))!;
        Assert.Equal(Enumerable.Range(1, task.Events.Count).Select(seq => (long)seq), task.Events.Select(e => e.Seq));
        Assert.Equal(JobEventKind.Submitted, task.Events[0].Kind);
        Assert.Equal(JobStatus.Completed, task.Events[^1].Body.Status);
        Assert.Equal(8, task.Events.Count(e => e.Kind == JobEventKind.UnitCompleted));
        Assert.Equal(8, task.Events.Count(e => e.Kind == JobEventKind.UnitLeased));
        Assert.True(world.Neighbours.ActorCalls >= 9, $"{world.Neighbours.ActorCalls} actor calls");
    }
}
