using Grpc.Core;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using Kind = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>Repeating an ended workflow from one of its events on.</summary>
public sealed class RerunTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database);

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task A_task_is_repeated_with_another_input_on_the_history_before_it()
    {
        await using var worker = await rig.WorkerAsync();
        await RunSourceAsync(worker);
        var response = await rig.Hub.RerunWorkflowFromEventAsync(
            new RerunWorkflowFromEventRequest { SourceInstanceID = "source", EventID = 1, NewInstanceID = "copy", OverwriteInput = true, Input = "changed" }, cancellationToken: Token);
        var again = await worker.NextActivityAsync();
        await worker.AnswerAsync(again, "B");
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete("copied"));
        var state = await rig.CompletedAsync("copy");

        Assert.Equal("copy", response.NewInstanceID);
        Assert.Equal(("second", "changed", "copy"), (again.ActivityRequest.Name, again.ActivityRequest.Input, again.ActivityRequest.WorkflowInstance.InstanceId));
        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionStarted, Kind.TaskScheduled, Kind.WorkflowStarted, Kind.TaskCompleted, Kind.TaskScheduled],
            turn.WorkflowRequest.PastEvents.Select(happened => happened.EventTypeCase));
        Assert.Equal("source", turn.WorkflowRequest.PastEvents[^1].TaskScheduled.RerunParentInstanceInfo.InstanceID);
        Assert.Equal("copied", state.Output);
    }

    [Fact]
    public async Task A_child_is_begun_again_under_another_id()
    {
        await using var worker = await rig.WorkerAsync();
        await RunSourceAsync(worker);
        await rig.Hub.RerunWorkflowFromEventAsync(
            new RerunWorkflowFromEventRequest { SourceInstanceID = "source", EventID = 2, NewInstanceID = "copy-2", NewChildWorkflowInstanceID = "child-2" }, cancellationToken: Token);
        await worker.AnswerAsync(await worker.NextTurnAsync("child-2"), Do.Complete("C"));
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete());

        Assert.Equal(("copy-2", "C"), (turn.WorkflowRequest.InstanceId, turn.WorkflowRequest.NewEvents[1].ChildWorkflowInstanceCompleted.Result));
    }

    [Fact]
    public async Task What_cannot_be_repeated_is_refused_with_its_reason()
    {
        await using var worker = await rig.WorkerAsync();
        await RunSourceAsync(worker);
        var running = rig.Start("running");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Timer(0, DateTimeOffset.UtcNow.AddHours(1)));
        await running;
        async Task<StatusCode> RefusedAsync(RerunWorkflowFromEventRequest request) => (await WorkflowRig.RefusedAsync(rig.Hub.RerunWorkflowFromEventAsync(request, cancellationToken: Token))).StatusCode;

        Assert.Equal(StatusCode.NotFound, await RefusedAsync(new() { SourceInstanceID = "none", EventID = 1 }));
        Assert.Equal(StatusCode.NotFound, await RefusedAsync(new() { SourceInstanceID = "source", EventID = 77 }));
        Assert.Equal(StatusCode.InvalidArgument, await RefusedAsync(new() { SourceInstanceID = "running", EventID = 0 }));
        Assert.Equal(StatusCode.InvalidArgument, await RefusedAsync(new() { SourceInstanceID = "source", EventID = 1, NewInstanceID = "source" }));
        Assert.Equal(StatusCode.InvalidArgument, await RefusedAsync(new() { SourceInstanceID = "source:0002", EventID = 1 }));
        Assert.Equal(StatusCode.AlreadyExists, await RefusedAsync(new() { SourceInstanceID = "source", EventID = 1, NewInstanceID = "running" }));
    }

    /// <summary>Two tasks one after the other, then a child.</summary>
    private async Task RunSourceAsync(TestWorker worker)
    {
        var start = rig.Start("source");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Task(0, "first", "a"));
        await start;
        await worker.AnswerAsync(await worker.NextActivityAsync(), "A");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Task(1, "second", "b"));
        await worker.AnswerAsync(await worker.NextActivityAsync(), "B");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Child(2, "child"));
        await worker.AnswerAsync(await worker.NextTurnAsync("source:0002"), Do.Complete("C"));
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());
        await rig.CompletedAsync("source");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
