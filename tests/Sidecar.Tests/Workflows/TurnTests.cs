using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using Kind = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>The wire between sidecar and worker, one turn after the other.</summary>
public sealed class TurnTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database);

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task A_workflow_with_an_activity_runs_from_start_to_end()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("simple", input: "1");
        var first = await worker.NextTurnAsync();
        await worker.AnswerAsync(first, Do.Task(0, "double", "1", key: "key-of-0"));
        await start;
        var activity = await worker.NextActivityAsync();
        await worker.AnswerAsync(activity, "2");
        var second = await worker.NextTurnAsync();
        await worker.AnswerAsync(second, Do.Complete("2"));
        var state = await rig.CompletedAsync("simple");

        Assert.Empty(first.WorkflowRequest.PastEvents);
        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionStarted], first.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
        Assert.All(first.WorkflowRequest.NewEvents, happened => Assert.Equal(-1, happened.EventId));
        Assert.Equal(("double", "1", "key-of-0", 0), (activity.ActivityRequest.Name, activity.ActivityRequest.Input, activity.ActivityRequest.TaskExecutionId, activity.ActivityRequest.TaskId));
        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionStarted, Kind.TaskScheduled], second.WorkflowRequest.PastEvents.Select(happened => happened.EventTypeCase));
        Assert.Equal([Kind.WorkflowStarted, Kind.TaskCompleted], second.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
        Assert.Equal("key-of-0", second.WorkflowRequest.NewEvents[1].TaskCompleted.TaskExecutionId);
        Assert.Equal((OrchestrationStatus.Completed, "1", "2"), (state.WorkflowStatus, state.Input, state.Output));
    }

    [Fact]
    public async Task A_failed_activity_comes_back_as_such_with_its_details()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("failing");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Task(0, "bad"));
        await worker.AnswerAsync(await worker.NextActivityAsync(), null, new TaskFailureDetails { ErrorType = "Oops", ErrorMessage = "broke" });
        var second = await worker.NextTurnAsync();
        await worker.AnswerAsync(second, Do.Complete(status: OrchestrationStatus.Failed, failure: new TaskFailureDetails { ErrorType = "Oops", ErrorMessage = "gave up" }));
        await start;
        var state = await rig.CompletedAsync("failing");

        Assert.Equal(("Oops", "broke"), (second.WorkflowRequest.NewEvents[1].TaskFailed.FailureDetails.ErrorType, second.WorkflowRequest.NewEvents[1].TaskFailed.FailureDetails.ErrorMessage));
        Assert.Equal((OrchestrationStatus.Failed, "gave up"), (state.WorkflowStatus, state.FailureDetails.ErrorMessage));
    }

    [Fact]
    public async Task A_timer_fires_at_its_time_and_not_before()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("timed");
        var due = DateTimeOffset.UtcNow.AddMilliseconds(700);
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Timer(0, due), Do.Timer(1, DateTimeOffset.MaxValue));
        await start;
        var second = await worker.NextTurnAsync();
        await worker.AnswerAsync(second, Do.Complete());
        await rig.CompletedAsync("timed");

        var fired = second.WorkflowRequest.NewEvents[1];
        Assert.Equal((0, due), (fired.TimerFired.TimerId, fired.TimerFired.FireAt.ToDateTimeOffset()));
        Assert.True(fired.Timestamp.ToDateTimeOffset() >= due);
    }

    [Fact]
    public async Task Raised_events_are_heard_in_their_order_and_end_the_oldest_wait_of_that_name()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("hearing");
        // Late enough for the event to come first on a busy machine.
        var soon = DateTimeOffset.UtcNow.AddSeconds(6);
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Timer(0, soon, "Ready"), Do.Timer(1, soon, "ready"), Do.Timer(2, soon, "other"));
        await start;
        await rig.RaiseAsync("hearing", "READY", "1");
        await worker.AnswerAsync(await worker.NextTurnAsync());
        var fired = new List<int>();
        while (fired.Count < 2)
        {
            var turn = await worker.NextTurnAsync();
            fired.AddRange(turn.WorkflowRequest.NewEvents.Where(happened => happened.EventTypeCase == Kind.TimerFired).Select(happened => happened.TimerFired.TimerId));
            await worker.AnswerAsync(turn);
        }

        await rig.RaiseAsync("hearing", "a", "x");
        var last = await worker.NextTurnAsync();
        await worker.AnswerAsync(last, Do.Complete());
        Assert.Equal([1, 2], fired.Order());
        Assert.Equal(("a", "x"), (last.WorkflowRequest.NewEvents[1].EventRaised.Name, last.WorkflowRequest.NewEvents[1].EventRaised.Input));
    }

    [Fact]
    public async Task Continuing_as_new_begins_again_with_the_new_input_and_the_events_carried_over()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("again", input: "0");
        var turn = await worker.NextTurnAsync();
        var first = turn;
        var executions = new HashSet<string>();
        var carried = new HistoryEvent { EventId = -1, EventRaised = new EventRaisedEvent { Name = "kept", Input = "k" } };
        for (var generation = 1; generation <= 30; generation++)
        {
            executions.Add(turn.WorkflowRequest.ExecutionId);
            await worker.AnswerAsync(turn, Do.Task(0, "ignored"), Do.ContinueAsNew($"{generation}", carried));
            turn = await worker.NextTurnAsync();
            Assert.Empty(turn.WorkflowRequest.PastEvents);
            Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionStarted, Kind.EventRaised], turn.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
            Assert.Equal($"{generation}", turn.WorkflowRequest.NewEvents[1].ExecutionStarted.Input);
        }

        await worker.AnswerAsync(turn, Do.Complete("done"));
        await start;
        var state = await rig.CompletedAsync("again");

        Assert.Equal(30, executions.Count);
        Assert.Equal(("wf", "done", "30"), (state.Name, state.Output, state.Input));
        Assert.Equal("wf", first.WorkflowRequest.NewEvents[1].ExecutionStarted.Name);
        Assert.True(worker.IsQuiet, "the other actions of a turn that continues as new count for nothing");
    }

    [Fact]
    public async Task A_child_tells_its_parent_how_it_ended()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("parent");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Child(10, "child", input: "7"), Do.Child(11, "child", "named"));
        await start;
        var a = await worker.NextTurnAsync();
        var b = await worker.NextTurnAsync();
        var unnamed = a.WorkflowRequest.InstanceId == "named" ? b : a;
        var named = unnamed == a ? b : a;
        await worker.AnswerAsync(unnamed, Do.Complete("8"));
        var heard = await worker.NextTurnAsync();
        await worker.AnswerAsync(heard);
        await worker.AnswerAsync(named, Do.Complete(status: OrchestrationStatus.Failed, failure: new TaskFailureDetails { ErrorType = "E", ErrorMessage = "m" }));
        var failed = await worker.NextTurnAsync();
        await worker.AnswerAsync(failed, Do.Complete());
        await rig.CompletedAsync("parent");

        Assert.Equal("parent:000a", unnamed.WorkflowRequest.InstanceId);
        var parent = unnamed.WorkflowRequest.NewEvents[1].ExecutionStarted.ParentInstance;
        Assert.Equal((10, "wf", "parent", rig.One.Id), (parent.TaskScheduledId, parent.Name, parent.WorkflowInstance.InstanceId, parent.AppID));
        Assert.Equal((10, "8"), (heard.WorkflowRequest.NewEvents[1].ChildWorkflowInstanceCompleted.TaskScheduledId, heard.WorkflowRequest.NewEvents[1].ChildWorkflowInstanceCompleted.Result));
        Assert.Equal((11, "m"), (failed.WorkflowRequest.NewEvents[1].ChildWorkflowInstanceFailed.TaskScheduledId, failed.WorkflowRequest.NewEvents[1].ChildWorkflowInstanceFailed.FailureDetails.ErrorMessage));
    }

    [Fact]
    public async Task What_a_lost_worker_has_not_answered_goes_to_the_next_one()
    {
        var lost = await rig.WorkerAsync();
        var start = rig.Start("handed-on");
        var given = await lost.NextTurnAsync();
        await lost.DisposeAsync();
        await using var worker = await rig.WorkerAsync();
        var again = await worker.NextTurnAsync();
        await worker.AnswerAsync(again, Do.Task(0, "work"));
        await start;
        var activity = await worker.NextActivityAsync();
        await worker.AnswerAsync(activity, "1");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());

        Assert.Equal(given.WorkflowRequest, again.WorkflowRequest);
        Assert.Equal(OrchestrationStatus.Completed, (await rig.CompletedAsync("handed-on")).WorkflowStatus);
    }

    [Fact]
    public async Task After_a_restart_everything_goes_on_where_it_was()
    {
        var before = await rig.WorkerAsync();
        var start = rig.Start("restarted");
        await before.AnswerAsync(await before.NextTurnAsync(), Do.Task(0, "open"), Do.Task(1, "done"), Do.Timer(2, DateTimeOffset.UtcNow.AddMilliseconds(300)));
        await start;
        var activities = new[] { await before.NextActivityAsync(), await before.NextActivityAsync() };
        await before.AnswerAsync(activities.Single(activity => activity.ActivityRequest.Name == "done"), "1");
        var unanswered = await before.NextTurnAsync();
        await rig.RaiseAsync("restarted", "event");
        await rig.RestartAsync();
        await before.DisposeAsync();
        await using var worker = await rig.WorkerAsync();
        var again = await worker.NextActivityAsync();
        var heard = new List<HistoryEvent>();
        while (heard.Count(happened => happened.EventTypeCase is not Kind.WorkflowStarted) < 3)
        {
            var turn = await worker.NextTurnAsync();
            heard.AddRange(turn.WorkflowRequest.NewEvents);
            await worker.AnswerAsync(turn);
        }

        await worker.AnswerAsync(again, "0");
        var last = await worker.NextTurnAsync();
        await worker.AnswerAsync(last, Do.Complete());

        Assert.Equal("open", again.ActivityRequest.Name);
        Assert.Contains(unanswered.WorkflowRequest.NewEvents[1], heard);
        Assert.Single(heard, happened => happened.EventTypeCase == Kind.TimerFired);
        Assert.Single(heard, happened => happened.EventTypeCase == Kind.EventRaised);
        Assert.Equal(0, last.WorkflowRequest.NewEvents[1].TaskCompleted.TaskScheduledId);
        Assert.Equal(OrchestrationStatus.Completed, (await rig.CompletedAsync("restarted")).WorkflowStatus);
    }
}
