using Dapr.Workflow;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

/// <summary>Sagas that began under an older version of the code must go on under this one: it is run over histories that were recorded.</summary>
public sealed class SagaReplayTests
{
    public static TheoryData<string> Recorded => [.. SagaHistory.Names];

    [Theory]
    [MemberData(nameof(Recorded))]
    public async Task A_recorded_saga_replays(string name)
    {
        await using var hub = await ReplayHub.StartAsync(JobSagaEngine.AddTo);

        Assert.Null(await SagaHistory.Load(name).ReplayAsync(hub));
    }

    [Fact]
    public async Task A_change_of_order_is_caught()
    {
        await using var hub = await ReplayHub.StartAsync(services => Register(services, _ => true));

        foreach (var name in SagaHistory.Names.Where(HasEnded))
        {
            Assert.Contains("recorded", await SagaHistory.Load(name).ReplayAsync(hub), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_change_of_order_behind_a_patch_is_for_sagas_that_have_not_come_there_yet()
    {
        await using var hub = await ReplayHub.StartAsync(services => Register(services, saga => saga.IsPatched("evidence-before-settling")));

        foreach (var history in SagaHistory.Names.Where(HasEnded).Select(SagaHistory.Load))
        {
            Assert.Null(await history.ReplayAsync(hub, after: SagaStepName.Settle));
            Assert.Contains("the code asks for", await history.ReplayAsync(hub), StringComparison.Ordinal);
        }
    }

    private static bool HasEnded(string name) => File.ReadAllText(Path.Combine(SagaHistory.Folder, name + ".json")).Contains("RecordEvidence", StringComparison.Ordinal);

    private static void Register(IServiceCollection services, Func<IJobSagaContext, bool> isChanged) =>
        services
            .AddDaprWorkflowBuilder(options => options.RegisterWorkflow<JobSagaState, bool>(JobSagaEngine.SagaName, async (context, state) =>
            {
                await new JobSaga(new Reordered(new JobSagaEngine.Context(context), isChanged), state).RunAsync();
                return true;
            }))
            .WithJsonSerializer(WireJson.Options);

    /// <summary>What a careless change would do: the evidence first, then the settling.</summary>
    private sealed class Reordered(IJobSagaContext saga, Func<IJobSagaContext, bool> isChanged) : IJobSagaContext
    {
        private bool changed;

        public Task<StepOutcome> CallAsync(StepCall call)
        {
            // Asked once, where the ways part.
            changed = call.Step == SagaStepName.Settle ? isChanged(saga) : changed;
            return saga.CallAsync(call.Step switch
            {
                SagaStepName.Settle when changed => call with { Step = SagaStepName.RecordEvidence },
                SagaStepName.RecordEvidence when changed => call with { Step = SagaStepName.Settle },
                _ => call,
            });
        }

        public Task<SagaSignal> NextSignalAsync() => saga.NextSignalAsync();

        public Task DelayAsync(TimeSpan delay) => saga.DelayAsync(delay);

        public bool IsPatched(string patch) => saga.IsPatched(patch);

        public void ContinueAsNew(JobSagaState state, bool keepSignals) => saga.ContinueAsNew(state, keepSignals);
    }
}
