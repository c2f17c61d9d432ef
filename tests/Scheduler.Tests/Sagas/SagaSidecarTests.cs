using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Scheduler.Tests;

/// <summary>The saga as it runs for real: the worker in the scheduler, the engine in the sidecar's process, its state in Postgres.</summary>
public sealed class SagaSidecarTests(SagaSidecarTests.Fixture fixture) : IClassFixture<SagaSidecarTests.Fixture>
{
    private readonly SchedulerWorld world = fixture.World;

    private WorkflowSidecar Sidecar => fixture.Sidecar;

    [Theory]
    [InlineData(Fate.Completes)]
    [InlineData(Fate.IsRetried)]
    [InlineData(Fate.Overflows)]
    [InlineData(Fate.IsRefunded)]
    public async Task A_job_ends_as_its_nodes_fare(Fate fate)
    {
        var scenario = await SagaScenario.PrepareAsync(world, fate);
        await scenario.SubmitAsync();

        var job = await scenario.CleanSlateAsync(scenario.UndisturbedEnd);

        Assert.Equal(fate switch { Fate.Completes => 1, Fate.IsRetried => 2, Fate.Overflows => 3, _ => 1 }, job.Units[1].Attempts.Count);
        await EndedAsync(scenario.JobId);
        await Record(fate.ToString(), scenario.JobId);
    }

    [Fact]
    public async Task A_sidecar_that_is_killed_goes_on_where_it_was()
    {
        var scenario = await SagaScenario.PrepareAsync(world, Fate.IsRetried);
        await scenario.SubmitAsync();
        await SchedulerWorld.UntilAsync(
            "the first attempt to fail", () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.attempts WHERE job_id = $1 AND status = 'failed'", scenario.JobId.Value), count => count == 1);

        await Sidecar.KillAsync();
        await Sidecar.BeginAsync();

        await scenario.CleanSlateAsync(JobStatus.Completed, seconds: 60);
    }

    [Fact]
    public async Task A_saga_continues_as_new_and_stays_short()
    {
        const int units = 60;
        var creator = await world.CreatorAsync();
        var absent = new TestNode(NodeId.New(), TenantId.New(), "absent", $"absent-{Guid.CreateVersion7()}", "hub-1", 0, []);
        var spec = SchedulerWorld.Spec([absent], units: units, seconds: 1);
        var taskId = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
        var job = TaskIds.KeyOf(creator, spec.JobId);
        await SchedulerWorld.UntilAsync(
            "all units to be parked", () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = $1 AND state = 'parked'", job.Value), count => count == units);

        await world.FailAllUnitsAsync(job, units);
        await SchedulerWorld.UntilAsync(
            "every unit to wait again", () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.pending_units WHERE job_id = $1", job.Value), count => count == units, seconds: 120);
        Assert.InRange((await Sidecar.HistoryAsync(job.ToString())).Events.Count, 2, 4 * JobSaga.MostEntries);
        await world.CancelAsync(taskId, creator);

        await EndedAsync(job);
        await Record("ContinuesAsNew", job);
    }

    [Fact]
    public async Task A_step_that_fails_is_repeated_by_the_engine()
    {
        var scenario = await SagaScenario.PrepareAsync(world, Fate.IsRetried);
        await using (await Sabotage.OnInsertAsync(world.Admin, "scheduler.units", atCommit: false, $"IF NEW.job_id = '{scenario.JobId}' AND TG_OP = 'UPDATE' AND OLD.status = 'undecided' THEN RAISE EXCEPTION 'sabotaged'; END IF"))
        {
            await scenario.SubmitAsync();
            await SchedulerWorld.UntilAsync("a failed try", async () => (await TriesAsync(scenario.JobId)), count => count >= 1, seconds: 30);
        }

        await scenario.CleanSlateAsync(JobStatus.Completed, seconds: 60);
        await EndedAsync(scenario.JobId);
        await Record("StepFailsOnce", scenario.JobId);
    }

    [Fact]
    public async Task A_forgotten_saga_leaves_nothing_in_the_engine()
    {
        var scenario = await SagaScenario.PrepareAsync(world, Fate.Completes);
        await scenario.SubmitAsync();
        await scenario.CleanSlateAsync(JobStatus.Completed);
        await EndedAsync(scenario.JobId);
        await world.ScalarAsync<long>("WITH old AS (UPDATE scheduler.sagas SET done_at = now() - interval '2 hours' WHERE job_id = $1 RETURNING 1) SELECT count(*) FROM old", scenario.JobId.Value);

        var loop = ActivatorUtilities.CreateInstance<ForgetSagasLoop>(world.Services);
        Assert.InRange(await loop.RoundAsync(TestContext.Current.CancellationToken), 1, 1);
        await world.Services.GetRequiredService<IJobSagaEngine>().ForgetAsync(scenario.JobId, TestContext.Current.CancellationToken);

        Assert.False((await Sidecar.TaskHub.GetInstanceAsync(new GetInstanceRequest { InstanceId = scenario.JobId.ToString() })).Exists);
    }

    /// <summary>Slow ones, which only make histories: a step is tried for a minute and a half before it has failed.</summary>
    [Theory]
    [InlineData("Undone")]
    [InlineData("ParkedAndResumed")]
    public async Task A_step_that_fails_for_good_is_undone_or_parked(string name)
    {
        if (!Recording)
        {
            return;
        }

        var scenario = await SagaScenario.PrepareAsync(world, Fate.IsRetried, lastNodeHangs: name == "Undone");
        var (table, act) = name == "Undone"
            ? ("scheduler.units", "TG_OP = 'UPDATE' AND OLD.status = 'undecided' AND NEW.status = 'pending'")
            : ("scheduler.sagas", "NEW.done_at IS NOT NULL");
        await using (await Sabotage.OnInsertAsync(world.Admin, table, atCommit: false, $"IF NEW.job_id = '{scenario.JobId}' AND {act} THEN RAISE EXCEPTION 'sabotaged'; END IF"))
        {
            await scenario.SubmitAsync();
            if (name != "Undone")
            {
                await scenario.ParkedAsync(seconds: 240);
            }
            else
            {
                await scenario.CleanSlateAsync(JobStatus.Failed, seconds: 240);
            }
        }

        if (name != "Undone")
        {
            await scenario.ResumeAsync();
            await scenario.CleanSlateAsync(JobStatus.Completed);
        }

        await EndedAsync(scenario.JobId);
        await Record(name, scenario.JobId);
    }

    private static bool Recording => Environment.GetEnvironmentVariable("RENDERTRUST_RECORD") == "1";

    private async Task<int> TriesAsync(JobId job)
    {
        try
        {
            return (await Sidecar.HistoryAsync(job.ToString())).Events.Count(entry => entry.TaskFailed is not null);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            return 0;
        }
    }

    private Task<OrchestrationStatus> EndedAsync(JobId job) => SchedulerWorld.UntilAsync(
        "the instance to end",
        async () => (await Sidecar.TaskHub.GetInstanceAsync(new GetInstanceRequest { InstanceId = job.ToString() })).WorkflowState.WorkflowStatus,
        status => status == OrchestrationStatus.Completed, seconds: 60);

    private async Task Record(string name, JobId job)
    {
        if (Recording)
        {
            SagaHistory.Save(name, await Sidecar.HistoryAsync(job.ToString()));
        }
    }

    public sealed class Fixture : WorldFixture
    {
        internal WorkflowSidecar Sidecar { get; private set; } = null!;

        protected override Dictionary<string, string?> Settings => new()
        {
            ["DAPR_GRPC_ENDPOINT"] = Sidecar.Address, ["Scheduler:RevocationRetrySeconds"] = "1", ["Scheduler:Saga:StartDelaySeconds"] = "0",
        };

        // None of the test's: the scheduler brings its own.
        protected override Action<IServiceCollection> Services => _ => { };

        public override async ValueTask InitializeAsync()
        {
            Sidecar = await WorkflowSidecar.StartAsync();
            await base.InitializeAsync();
        }

        public override async ValueTask DisposeAsync()
        {
            await base.DisposeAsync();
            await Sidecar.DisposeAsync();
        }
    }
}
