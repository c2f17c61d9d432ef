using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using Kind = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>Ending, pausing and resuming from outside.</summary>
public sealed class SteeringTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database);

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task A_termination_is_the_last_event_of_its_turn_and_answers_at_the_end()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("ended");
        var first = await worker.NextTurnAsync();
        var end = rig.Hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = "ended", Output = "\"why\"" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        await worker.AnswerAsync(first, Do.Task(0, "left"));
        await start;
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete("\"why\"", OrchestrationStatus.Terminated));
        await end;
        var state = await rig.StateAsync("ended");

        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionTerminated], turn.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
        Assert.Equal((OrchestrationStatus.Terminated, "\"why\""), (state.WorkflowStatus, state.Output));
    }

    [Fact]
    public async Task A_recursive_termination_reaches_the_children_too()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("head");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Child(0, "child", "limb"));
        await start;
        await worker.AnswerAsync(await worker.NextTurnAsync("limb"), Do.Child(0, "child", "finger"));
        await worker.AnswerAsync(await worker.NextTurnAsync("finger"));
        var end = rig.Hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = "head", Recursive = true }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        foreach (var id in (string[])["head", "limb", "finger"])
        {
            var turn = await worker.NextTurnAsync(id);
            Assert.Equal(Kind.ExecutionTerminated, turn.WorkflowRequest.NewEvents[^1].EventTypeCase);
            await worker.AnswerAsync(turn, Do.Complete(status: OrchestrationStatus.Terminated));
        }

        await end;
        Assert.Equal(OrchestrationStatus.Terminated, (await rig.CompletedAsync("finger")).WorkflowStatus);
    }

    [Fact]
    public async Task A_suspended_workflow_hears_nothing_until_it_is_resumed()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("paused");
        await worker.AnswerAsync(await worker.NextTurnAsync(), response => response.CustomStatus = "\"kept\"", Do.Task(0, "slow"), Do.Timer(1, DateTimeOffset.UtcNow.AddMilliseconds(200)));
        await start;
        var activity = await worker.NextActivityAsync();
        var suspend = rig.Hub.SuspendInstanceAsync(new SuspendRequest { InstanceId = "paused", Reason = "r" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        var asleep = await worker.NextTurnAsync();
        await worker.AnswerAsync(asleep);
        await suspend;
        await worker.AnswerAsync(activity, "1");
        await rig.RaiseAsync("paused", "e");
        var state = await rig.StateAsync("paused");
        await rig.RestartAsync();
        var afterwards = await rig.WorkerAsync();
        await Task.Delay(400, Token);
        var isQuiet = afterwards.IsQuiet;
        var resume = rig.Hub.ResumeInstanceAsync(new ResumeRequest { InstanceId = "paused" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        var awake = await afterwards.NextTurnAsync();
        await afterwards.AnswerAsync(awake, Do.Complete());
        await resume;
        await afterwards.DisposeAsync();

        Assert.Equal(Kind.ExecutionSuspended, asleep.WorkflowRequest.NewEvents[^1].EventTypeCase);
        Assert.Equal((OrchestrationStatus.Suspended, "\"kept\""), (state.WorkflowStatus, state.CustomStatus));
        Assert.True(isQuiet, "a suspended workflow was given a turn");
        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionResumed], awake.WorkflowRequest.NewEvents.Take(2).Select(happened => happened.EventTypeCase));
        Assert.Equal([Kind.TaskCompleted, Kind.TimerFired, Kind.EventRaised], awake.WorkflowRequest.NewEvents.Skip(2).Select(happened => happened.EventTypeCase).Order());
    }

    [Fact]
    public async Task A_suspended_workflow_can_be_terminated()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("paused-ended");
        await worker.AnswerAsync(await worker.NextTurnAsync());
        await start;
        var suspend = rig.Hub.SuspendInstanceAsync(new SuspendRequest { InstanceId = "paused-ended" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        await worker.AnswerAsync(await worker.NextTurnAsync());
        await suspend;
        await rig.RaiseAsync("paused-ended", "held");
        var end = rig.Hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = "paused-ended" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete(status: OrchestrationStatus.Terminated));
        await end;

        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionTerminated], turn.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
    }

    [Fact]
    public async Task What_is_asked_of_an_ended_workflow_is_answered_and_changes_nothing()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("over");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete("1"));
        await start;
        await rig.RaiseAsync("over", "late");
        await rig.Hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = "over" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        await rig.Hub.SuspendInstanceAsync(new SuspendRequest { InstanceId = "over" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        await rig.Hub.ResumeInstanceAsync(new ResumeRequest { InstanceId = "over" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);

        Assert.Equal((OrchestrationStatus.Completed, "1"), ((await rig.StateAsync("over")).WorkflowStatus, (await rig.StateAsync("over")).Output));
        Assert.True(worker.IsQuiet);
    }

    [Fact]
    public async Task A_scheduled_start_can_be_terminated_before_its_time()
    {
        await using var worker = await rig.WorkerAsync();
        await rig.Start("not-yet", change: request => request.ScheduledStartTimestamp = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow.AddHours(1)));
        var end = rig.Hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = "not-yet" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete(status: OrchestrationStatus.Terminated));
        await end;

        Assert.Equal([Kind.WorkflowStarted, Kind.ExecutionStarted, Kind.ExecutionTerminated], turn.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
