using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using Kind = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>Work for other apps of the host, and history that travels along.</summary>
public sealed class AppsTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database);

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task An_activity_and_a_child_run_on_the_app_that_the_router_names()
    {
        await using var here = await rig.WorkerAsync();
        await using var there = await rig.WorkerAsync(rig.Two);
        var start = rig.Start("crossing");
        await here.AnswerAsync(await here.NextTurnAsync(), Do.Task(0, "far", "1", rig.Two.Id), Do.Child(1, "far-child", "", "2", rig.Two.Id));
        await start;
        var activity = await there.NextActivityAsync();
        await there.AnswerAsync(activity, "one");
        var child = await there.NextTurnAsync();
        await there.AnswerAsync(child, Do.Complete("two"));
        var heard = new List<HistoryEvent>();
        while (heard.Count < 2)
        {
            var turn = await here.NextTurnAsync();
            heard.AddRange(turn.WorkflowRequest.NewEvents.Skip(1));
            await here.AnswerAsync(turn, heard.Count == 2 ? [Do.Complete()] : []);
        }

        Assert.Equal("crossing", activity.ActivityRequest.WorkflowInstance.InstanceId);
        Assert.Equal((rig.One.Id, "crossing"), (child.WorkflowRequest.NewEvents[1].ExecutionStarted.ParentInstance.AppID, child.WorkflowRequest.NewEvents[1].ExecutionStarted.ParentInstance.WorkflowInstance.InstanceId));
        Assert.Equal("one", heard.Single(happened => happened.EventTypeCase == Kind.TaskCompleted).TaskCompleted.Result);
        Assert.Equal("two", heard.Single(happened => happened.EventTypeCase == Kind.ChildWorkflowInstanceCompleted).ChildWorkflowInstanceCompleted.Result);
        Assert.Equal(rig.Two.Id, (await rig.HistoryAsync("crossing")).Single(happened => happened.EventTypeCase == Kind.TaskScheduled).Router.TargetAppID);
        Assert.Equal(OrchestrationStatus.Completed, (await rig.CompletedAsync("crossing")).WorkflowStatus);
    }

    [Fact]
    public async Task An_app_that_is_not_hosted_fails_the_call_and_says_so()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("lost");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Task(0, "far", null, "nowhere"), Do.Child(1, "far", "", null, "nowhere"));
        await start;
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete());

        Assert.Equal("AppNotHosted", turn.WorkflowRequest.NewEvents[1].TaskFailed.FailureDetails.ErrorType);
        Assert.Contains("nowhere", turn.WorkflowRequest.NewEvents[1].TaskFailed.FailureDetails.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal("AppNotHosted", turn.WorkflowRequest.NewEvents[2].ChildWorkflowInstanceFailed.FailureDetails.ErrorType);
    }

    [Fact]
    public async Task History_goes_along_where_it_is_asked_for()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("open-book");
        var task = Do.Task(0, "reader");
        task.ScheduleTask.HistoryPropagationScope = HistoryPropagationScope.OwnHistory;
        var child = Do.Child(1, "child", "heir");
        child.CreateChildWorkflow.HistoryPropagationScope = HistoryPropagationScope.Lineage;
        await worker.AnswerAsync(await worker.NextTurnAsync(), task, Do.Task(2, "plain"), child);
        await start;
        var activities = new[] { await worker.NextActivityAsync(), await worker.NextActivityAsync() }.ToDictionary(item => item.ActivityRequest.Name, item => item.ActivityRequest);
        var heir = await worker.NextTurnAsync("heir");
        var deeper = Do.Task(0, "deeper");
        deeper.ScheduleTask.HistoryPropagationScope = HistoryPropagationScope.Lineage;
        await worker.AnswerAsync(heir, deeper);
        var deep = (await worker.NextActivityAsync()).ActivityRequest;

        Assert.Null(activities["plain"].PropagatedHistory);
        var chunk = Assert.Single(activities["reader"].PropagatedHistory.Chunks);
        Assert.Equal((rig.One.Id, "open-book", "wf"), (chunk.AppId, chunk.InstanceId, chunk.WorkflowName));
        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionStarted], chunk.RawEvents.Select(raw => HistoryEvent.Parser.ParseFrom(raw).EventTypeCase));
        Assert.Equal("open-book", Assert.Single(heir.WorkflowRequest.PropagatedHistory.Chunks).InstanceId);
        Assert.Equal(["open-book", "heir"], deep.PropagatedHistory.Chunks.Select(lineage => lineage.InstanceId));
    }
}
