using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using Kind = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>Work is given out at least once and counts once.</summary>
public sealed class DeliveryTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database);

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task An_answer_that_comes_twice_counts_once()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("twice");
        var first = await worker.NextTurnAsync();
        await worker.AnswerAsync(first, Do.Task(0, "a"), Do.Task(1, "b"));
        await worker.AnswerAsync(first, Do.Complete("wrong"));
        await start;
        var activities = new[] { await worker.NextActivityAsync(), await worker.NextActivityAsync() }.OrderBy(item => item.ActivityRequest.TaskId).ToArray();
        await worker.AnswerAsync(activities[0], "0");
        await worker.AnswerAsync(activities[0], "0 again");
        var second = await worker.NextTurnAsync();
        await worker.AnswerAsync(activities[0], "0 once more");
        await worker.AnswerAsync(first, Do.Complete("wrong"));
        await worker.AnswerAsync(second);
        await worker.AnswerAsync(activities[1], "1");
        var third = await worker.NextTurnAsync();
        await worker.AnswerAsync(third, Do.Complete("right"));
        var state = await rig.CompletedAsync("twice");

        Assert.Equal("right", state.Output);
        Assert.Equal([Kind.WorkflowStarted, Kind.TaskCompleted], second.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
        Assert.Equal([Kind.WorkflowStarted, Kind.TaskCompleted], third.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
        Assert.Equal(1, third.WorkflowRequest.NewEvents[1].TaskCompleted.TaskScheduledId);
    }

    [Fact]
    public async Task A_worker_that_forgets_the_token_is_matched_by_ids()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("tokenless");
        await worker.NextTurnAsync();
        await worker.Hub.CompleteOrchestratorTaskAsync(new WorkflowResponse { InstanceId = "tokenless", Actions = { Do.Task(5, "a") } }, cancellationToken: Token);
        await start;
        await worker.NextActivityAsync();
        await worker.Hub.CompleteActivityTaskAsync(new ActivityResponse { InstanceId = "tokenless", TaskId = 5, Result = "x" }, cancellationToken: Token);
        await worker.NextTurnAsync();
        await worker.Hub.CompleteOrchestratorTaskAsync(new WorkflowResponse { InstanceId = "tokenless", Actions = { Do.Complete("x") } }, cancellationToken: Token);

        Assert.Equal("x", (await rig.CompletedAsync("tokenless")).Output);
    }

    [Fact]
    public async Task Answers_that_nobody_waits_for_are_accepted_and_dropped()
    {
        await rig.Hub.HelloAsync(new Google.Protobuf.WellKnownTypes.Empty(), cancellationToken: Token);
        await rig.Hub.CompleteActivityTaskAsync(new ActivityResponse { InstanceId = "nobody", TaskId = 3 }, cancellationToken: Token);
        await rig.Hub.CompleteWorkflowTaskAsync(new WorkflowResponse { InstanceId = "nobody", Actions = { Do.Complete() } }, cancellationToken: Token);

        Assert.Null(await rig.StateAsync("nobody"));
    }

    [Fact]
    public async Task Streams_share_one_queue_and_an_item_goes_to_one_of_them()
    {
        await using var one = await rig.WorkerAsync();
        await using var two = await rig.WorkerAsync();
        var starts = Enumerable.Range(0, 20).Select(n => rig.Start($"shared-{n}")).ToList();
        var seen = new List<string>();
        async Task WorkAsync(TestWorker worker)
        {
            while (true)
            {
                var turn = await worker.NextTurnAsync();
                lock (seen)
                {
                    seen.Add(turn.WorkflowRequest.InstanceId);
                }

                await worker.AnswerAsync(turn, Do.Complete());
            }
        }

        _ = WorkAsync(one);
        _ = WorkAsync(two);
        await Task.WhenAll(starts);

        Assert.Equal(20, seen.Count);
        Assert.Equal(20, seen.Distinct().Count());
    }

    [Fact]
    public async Task An_activity_of_a_lost_worker_runs_again_under_the_same_key()
    {
        var lost = await rig.WorkerAsync();
        var start = rig.Start("again");
        await lost.AnswerAsync(await lost.NextTurnAsync(), Do.Task(0, "a"));
        await start;
        var given = await lost.NextActivityAsync();
        await lost.DisposeAsync();
        await using var worker = await rig.WorkerAsync();
        var again = await worker.NextActivityAsync();
        // The lost one was only slow: its answer comes first, and counts.
        await lost.AnswerAsync(given, "slow");
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(again, "fast");
        await worker.AnswerAsync(turn, Do.Complete(turn.WorkflowRequest.NewEvents[1].TaskCompleted.Result));

        Assert.Equal(given, again);
        Assert.NotEmpty(given.ActivityRequest.TaskExecutionId);
        Assert.Equal("slow", (await rig.CompletedAsync("again")).Output);
        Assert.True(worker.IsQuiet);
    }

    [Fact]
    public async Task A_new_generation_hears_no_answers_of_the_old_one()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("generations");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Task(0, "slow"), Do.Timer(1, DateTimeOffset.UtcNow.AddMilliseconds(300)), Do.Child(2, "child", "slow-child"));
        await start;
        var activity = await worker.NextActivityAsync();
        var child = await worker.NextTurnAsync("slow-child");
        await rig.RaiseAsync("generations", "go");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.ContinueAsNew("2"));
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Task(0, "same id"), Do.Timer(1, DateTimeOffset.UtcNow.AddHours(1)), Do.Child(2, "child", "other-child"));
        var other = await worker.NextTurnAsync("other-child");
        await worker.AnswerAsync(activity, "old");
        await worker.AnswerAsync(child, Do.Complete("old"));
        await rig.CompletedAsync("slow-child");
        await Task.Delay(400, Token);
        await worker.AnswerAsync(await worker.NextActivityAsync(), "new");
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete());
        await worker.AnswerAsync(other, Do.Complete());

        Assert.Equal([Kind.WorkflowStarted, Kind.TaskCompleted], turn.WorkflowRequest.NewEvents.Select(happened => happened.EventTypeCase));
        Assert.Equal("new", turn.WorkflowRequest.NewEvents[1].TaskCompleted.Result);
    }

    [Fact]
    public async Task Activities_that_an_ended_workflow_has_left_still_run()
    {
        var first = await rig.WorkerAsync();
        var start = rig.Start("fire-and-forget");
        await first.AnswerAsync(await first.NextTurnAsync(), Do.Task(0, "left"), Do.Complete("done"));
        await start;
        Assert.Equal("left", (await first.NextActivityAsync()).ActivityRequest.Name);
        await rig.RestartAsync();
        await first.DisposeAsync();
        await using var second = await rig.WorkerAsync();
        var again = await second.NextActivityAsync();
        await second.AnswerAsync(again, (string?)null);

        Assert.Equal("left", again.ActivityRequest.Name);
        Assert.Equal("done", (await rig.StateAsync("fire-and-forget")).Output);
    }

    [Fact]
    public async Task Messages_go_from_workflow_to_workflow_and_detached_ones_live_alone()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("sender");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Detach(0, "receiver", "other", "\"in\""));
        await start;
        var begun = await worker.NextTurnAsync("receiver");
        await worker.AnswerAsync(begun);
        await rig.RaiseAsync("sender", "go");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Send(1, "receiver", "hello", "\"x\""), Do.Send(2, "nobody", "lost"), Do.Complete());
        var heard = await worker.NextTurnAsync();
        await worker.AnswerAsync(heard, Do.Complete());
        var history = await rig.HistoryAsync("sender");

        Assert.Equal(("other", "\"in\"", null), (begun.WorkflowRequest.NewEvents[1].ExecutionStarted.Name, begun.WorkflowRequest.NewEvents[1].ExecutionStarted.Input, begun.WorkflowRequest.NewEvents[1].ExecutionStarted.ParentInstance));
        Assert.Equal(("receiver", "hello", "\"x\""), (heard.WorkflowRequest.InstanceId, heard.WorkflowRequest.NewEvents[1].EventRaised.Name, heard.WorkflowRequest.NewEvents[1].EventRaised.Input));
        Assert.Equal("receiver", history.Single(happened => happened.EventTypeCase == Kind.DetachedWorkflowInstanceCreated).DetachedWorkflowInstanceCreated.InstanceId);
        Assert.Equal([1, 2], history.Where(happened => happened.EventTypeCase == Kind.EventSent).Select(happened => happened.EventId));
        Assert.Equal(OrchestrationStatus.Completed, (await rig.CompletedAsync("receiver")).WorkflowStatus);
    }

    [Fact]
    public async Task A_child_whose_id_is_in_use_fails_to_its_parent()
    {
        await using var worker = await rig.WorkerAsync();
        var taken = rig.Start("taken");
        await worker.AnswerAsync(await worker.NextTurnAsync());
        await taken;
        var start = rig.Start("asker");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Child(0, "child", "taken"), Do.Child(1, "child", "a||b"));
        await start;
        var turn = await worker.NextTurnAsync();
        var heard = turn.WorkflowRequest.NewEvents.Skip(1).ToList();
        await worker.AnswerAsync(turn, heard.Count == 2 ? [Do.Complete()] : []);
        if (heard.Count == 1)
        {
            turn = await worker.NextTurnAsync();
            heard.AddRange(turn.WorkflowRequest.NewEvents.Skip(1));
            await worker.AnswerAsync(turn, Do.Complete());
        }

        Assert.Equal(["WorkflowInstanceAlreadyExists", "InvalidInstanceId"],
            heard.OrderBy(happened => happened.ChildWorkflowInstanceFailed.TaskScheduledId).Select(happened => happened.ChildWorkflowInstanceFailed.FailureDetails.ErrorType));
        Assert.Equal(OrchestrationStatus.Running, (await rig.StateAsync("taken")).WorkflowStatus);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
