using Grpc.Core;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using Kind = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>Instances that no connected worker can go on with.</summary>
public sealed class StallTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database, extra: "    maxBodySize: 1Mi\n");

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task Patches_are_recorded_once_and_must_stay_a_beginning()
    {
        var old = await rig.WorkerAsync();
        var start = rig.Start("patched");
        await old.AnswerAsync(await old.NextTurnAsync(), Version("wf", "a"));
        await start;
        await rig.RaiseAsync("patched", "1");
        await old.AnswerAsync(await old.NextTurnAsync(), Version("wf", "a", "b"));
        await rig.RaiseAsync("patched", "2");
        await old.AnswerAsync(await old.NextTurnAsync(), Version("wf", "b"));
        await StalledAsync("patched");
        var history = await rig.HistoryAsync("patched");
        var refused = await WorkflowRig.RefusedAsync(rig.Hub.RaiseEventAsync(new RaiseEventRequest { InstanceId = "patched", Name = "3" }, cancellationToken: Token));
        await using var mended = await rig.WorkerAsync();
        await old.DisposeAsync();
        var again = await mended.NextTurnAsync();
        await mended.AnswerAsync(again, Version("wf", "a", "b"), Do.Complete());
        var state = await rig.CompletedAsync("patched");

        Assert.Equal(StalledReason.PatchMismatch, history[^1].ExecutionStalled.Reason);
        Assert.EndsWith("workflow is stalled", refused.Detail, StringComparison.Ordinal);
        Assert.Equal([["a"], ["b"]], again.WorkflowRequest.PastEvents.Where(happened => happened.EventTypeCase == Kind.WorkflowStarted).Select(happened => happened.WorkflowStarted.Version.Patches.ToArray()));
        Assert.Equal("2", again.WorkflowRequest.NewEvents[^1].EventRaised.Name);
        Assert.DoesNotContain(again.WorkflowRequest.PastEvents, happened => happened.EventTypeCase == Kind.ExecutionStalled);
        Assert.Equal(OrchestrationStatus.Completed, state.WorkflowStatus);
    }

    [Fact]
    public async Task A_version_that_no_worker_has_stalls_until_one_comes_also_over_a_restart()
    {
        var old = await rig.WorkerAsync();
        var start = rig.Start("versioned");
        await old.AnswerAsync(await old.NextTurnAsync(), new WorkflowAction { WorkflowVersionNotAvailable = new WorkflowVersionNotAvailableAction() });
        await start;
        var state = await rig.StateAsync("versioned");
        await rig.RestartAsync();
        await old.DisposeAsync();
        await using var mended = await rig.WorkerAsync();
        await mended.AnswerAsync(await mended.NextTurnAsync(), Do.Complete());

        Assert.Equal(OrchestrationStatus.Stalled, state.WorkflowStatus);
        Assert.Equal(OrchestrationStatus.Completed, (await rig.CompletedAsync("versioned")).WorkflowStatus);
    }

    [Fact]
    public async Task A_stalled_workflow_can_be_terminated_without_a_worker_that_knows_it()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("hopeless");
        await worker.AnswerAsync(await worker.NextTurnAsync(), new WorkflowAction { WorkflowVersionNotAvailable = new WorkflowVersionNotAvailableAction() });
        await start;
        await rig.Hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = "hopeless", Output = "\"gone\"" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);

        Assert.Equal((OrchestrationStatus.Terminated, "\"gone\""), ((await rig.StateAsync("hopeless")).WorkflowStatus, (await rig.StateAsync("hopeless")).Output));
    }

    [Fact]
    public async Task A_history_that_no_longer_fits_into_a_message_is_held()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("fat");
        await worker.AnswerAsync(await worker.NextTurnAsync());
        await start;
        var large = new string('x', 400_000);
        await rig.RaiseAsync("fat", "1", large);
        await worker.AnswerAsync(await worker.NextTurnAsync());
        await rig.RaiseAsync("fat", "2", large);
        await worker.AnswerAsync(await worker.NextTurnAsync());
        await rig.RaiseAsync("fat", "3", large);
        await StalledAsync("fat");

        var stalled = (await rig.HistoryAsync("fat"))[^1].ExecutionStalled;
        Assert.Equal(StalledReason.PayloadSizeExceeded, stalled.Reason);
        Assert.Contains("maxBodySize", stalled.Description, StringComparison.Ordinal);
    }

    private Task StalledAsync(string id) => Wait.UntilAsync($"{id} is stalled", async () => (await rig.StateAsync(id)).WorkflowStatus == OrchestrationStatus.Stalled);

    private static Action<WorkflowResponse> Version(string name, params string[] patches) =>
        response => response.Version = new WorkflowVersion { Name = name, Patches = { patches } };

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
