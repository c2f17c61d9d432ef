using System.Text.Json;
using Dapr.Workflow;
using Dapr.Workflow.Client;
using Grpc.Core;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>Workflows as users write them, over the real wire to the embedded sidecar and a real Postgres.</summary>
public sealed class WorkflowTests(World world) : IClassFixture<World>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static string NewId() => Guid.CreateVersion7().ToString("N");

    private async Task<string> StartAsync(string name, object? input, string? id = null) =>
        await world.Client.ScheduleNewWorkflowAsync(name, id ?? NewId(), input);

    private async Task<T?> OutputAsync<T>(string id)
    {
        var state = await world.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token);
        Assert.True(state.RuntimeStatus == WorkflowRuntimeStatus.Completed, $"{state.RuntimeStatus}: {state.FailureDetails}");
        return state.ReadOutputAs<T>();
    }

    [Fact]
    public async Task Activities_run_once_each_and_their_results_come_back_in_order()
    {
        var id = await StartAsync(nameof(RenderWorkflow), new Order("ball", 3));

        var receipt = await OutputAsync<Receipt>(id);

        Assert.Equal([100, 200, 300], receipt!.Sizes);
        Assert.Equal("thanks for ball", receipt.Note);
        Assert.Equal(["frame 1", "frame 2", "frame 3"], world.Deeds.Of(id).Order());
        var state = await world.Client.GetWorkflowStateAsync(id, cancellation: Token);
        Assert.Equal((nameof(RenderWorkflow), new Order("ball", 3)), (state.WorkflowName, state.ReadInputAs<Order>()));
        Assert.Equal("done", state.ReadCustomStatusAs<JsonElement>().GetProperty("stage").GetString());
    }

    [Fact]
    public async Task An_event_in_time_is_taken_and_one_that_does_not_come_is_given_up()
    {
        var (quick, slow) = (await StartAsync("Approval", ""), await StartAsync("Approval", ""));

        await world.Client.RaiseEventAsync(quick, "APPROVE", "Ada", Token);

        Assert.Equal("approved by Ada", await OutputAsync<string>(quick));
        Assert.Equal("too late", await OutputAsync<string>(slow));
    }

    [Fact]
    public async Task A_timer_is_done_when_its_time_has_come()
    {
        Assert.Equal("slept", await OutputAsync<string>(await StartAsync("Napping", 300)));
    }

    [Fact]
    public async Task Events_survive_many_generations_and_none_is_lost_or_doubled()
    {
        var id = await StartAsync("Tally", 30);

        for (var number = 1; number <= 30; number++)
        {
            await world.Client.RaiseEventAsync(id, "count", number, Token);
        }

        var tally = await OutputAsync<int[]>(id);
        Assert.Equal([30], tally!);
    }

    [Fact]
    public async Task Fifty_generations_in_a_row_end_at_last()
    {
        Assert.Equal(0, await OutputAsync<int>(await StartAsync("Countdown", 50)));
    }

    [Fact]
    public async Task A_childs_result_and_a_childs_failure_reach_the_parent()
    {
        var (good, bad) = (NewId(), NewId());
        var (first, second) = (await StartAsync("Parent", good), await StartAsync("Parent", bad));
        await world.Client.WaitForWorkflowStartAsync(good, cancellation: Token);
        await world.Client.WaitForWorkflowStartAsync(bad, cancellation: Token);

        await world.Client.RaiseEventAsync(good, "say", "hello", Token);
        await world.Client.RaiseEventAsync(bad, "say", "fail", Token);

        Assert.Equal($"child said hello ({good})", await OutputAsync<string>(first));
        Assert.Equal("child failed: told to", await OutputAsync<string>(second));
    }

    [Fact]
    public async Task An_instance_can_raise_an_event_at_another()
    {
        var receiver = await StartAsync("Child", "r");

        await StartAsync("Sender", receiver);

        Assert.Equal("hello (r)", await OutputAsync<string>(receiver));
    }

    [Fact]
    public async Task A_failing_activity_is_tried_again_under_one_key()
    {
        var id = await StartAsync("Retrying", "x");

        Assert.Equal("at last", await OutputAsync<string>(id));
        Assert.Equal(3, world.Deeds.Of(id).Count);
        Assert.Single(world.Deeds.Of(id).Distinct());
    }

    [Fact]
    public async Task More_waits_than_one_connection_carries_do_not_starve_the_worker()
    {
        var ids = await Task.WhenAll(Enumerable.Range(0, 120).Select(_ => StartAsync("Child", "m")));

        var outputs = Task.WhenAll(ids.Select(OutputAsync<string>));
        await Task.WhenAll(ids.Select(id => world.Client.RaiseEventAsync(id, "say", "hello", Token)));

        Assert.All(await outputs, output => Assert.Equal("hello (m)", output));
    }

    [Fact]
    public async Task An_activity_of_another_app_runs_there()
    {
        await using var two = await world.StartAppAsync(options => options.RegisterActivity<string, string>("Local", (_, input) => Task.FromResult(input + " at two")), second: true);

        Assert.Equal("x at two", await OutputAsync<string>(await StartAsync("Abroad", "x")));
    }

    [Fact]
    public async Task A_suspended_instance_takes_its_events_after_the_resumption()
    {
        var id = await StartAsync("Child", "s");
        await world.Client.SuspendWorkflowAsync(id, "pause", Token);
        Assert.Equal(WorkflowRuntimeStatus.Suspended, (await world.Client.GetWorkflowStateAsync(id, cancellation: Token)).RuntimeStatus);

        await world.Client.RaiseEventAsync(id, "say", "hello", Token);
        await world.Client.ResumeWorkflowAsync(id, cancellation: Token);

        Assert.Equal("hello (s)", await OutputAsync<string>(id));
    }

    [Fact]
    public async Task Terminating_a_parent_ends_its_child_too()
    {
        var child = NewId();
        var parent = await StartAsync("Parent", child);
        await world.Client.WaitForWorkflowStartAsync(child, cancellation: Token);

        await world.Client.TerminateWorkflowAsync(parent, "enough", Token);

        var (ended, endedChild) = (await world.Client.WaitForWorkflowCompletionAsync(parent, cancellation: Token), await world.Client.WaitForWorkflowCompletionAsync(child, cancellation: Token));
        Assert.Equal((WorkflowRuntimeStatus.Terminated, "enough"), (ended.RuntimeStatus, ended.ReadOutputAs<string>()));
        Assert.Equal(WorkflowRuntimeStatus.Terminated, endedChild.RuntimeStatus);
    }

    [Fact]
    public async Task An_id_in_use_is_refused_and_can_be_used_again_after_a_purge()
    {
        var id = await StartAsync("Child", "first");
        var refused = await Assert.ThrowsAsync<RpcException>(() => StartAsync("Child", "second", id));
        Assert.Equal(StatusCode.AlreadyExists, refused.StatusCode);

        await world.Client.RaiseEventAsync(id, "say", "bye", Token);
        Assert.Equal("bye (first)", await OutputAsync<string>(id));
        Assert.True(await world.Client.PurgeInstanceAsync(id, Token));

        Assert.False((await world.Client.GetWorkflowStateAsync(id, cancellation: Token)).Exists);
        Assert.Equal(id, await StartAsync("Child", "second", id));
        await world.Client.RaiseEventAsync(id, "say", "hi", Token);
        Assert.Equal("hi (second)", await OutputAsync<string>(id));
    }

    [Fact]
    public async Task A_start_in_the_future_waits_for_its_time()
    {
        var at = DateTimeOffset.UtcNow.AddSeconds(1);
        var id = await world.Client.ScheduleNewWorkflowAsync("Countdown", NewId(), 0, at, Token);

        Assert.Equal(WorkflowRuntimeStatus.Pending, (await world.Client.GetWorkflowStateAsync(id, cancellation: Token)).RuntimeStatus);
        var state = await world.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token);

        Assert.True(state.LastUpdatedAt >= at.AddMilliseconds(-50), $"ended {state.LastUpdatedAt:O}, asked for {at:O}");
    }

    [Fact]
    public async Task A_workflow_that_is_not_registered_fails_and_says_so()
    {
        var state = await world.Client.WaitForWorkflowCompletionAsync(await StartAsync("Nowhere", ""), cancellation: Token);

        Assert.Equal((WorkflowRuntimeStatus.Failed, "WorkflowNotFound"), (state.RuntimeStatus, state.FailureDetails!.ErrorType));
    }

    [Fact]
    public async Task History_is_told_ids_are_listed_and_an_ended_instance_can_run_again_from_the_middle()
    {
        var id = await StartAsync(nameof(RenderWorkflow), new Order("rerun", 1));
        await OutputAsync<Receipt>(id);

        var history = await world.Client.GetInstanceHistoryAsync(id, Token);
        var thank = history.Last(entry => entry.EventType == WorkflowHistoryEventType.TaskScheduled);
        var again = await world.Client.RerunWorkflowFromEventAsync(id, (uint)thank.EventId, new RerunWorkflowFromEventOptions { NewInstanceId = NewId(), Input = "other", OverwriteInput = true }, Token);

        Assert.Equal(WorkflowHistoryEventType.OrchestratorStarted, history[0].EventType);
        Assert.Equal(WorkflowHistoryEventType.ExecutionCompleted, history[^1].EventType);
        Assert.Equal("thanks for other", (await OutputAsync<Receipt>(again))!.Note);
        Assert.Empty(world.Deeds.Of(again));
        Assert.Contains(again, await AllIdsAsync());
    }

    [Fact]
    public async Task Code_that_waits_for_something_foreign_fails_at_once_and_says_what_to_do()
    {
        Assert.SkipUnless(Implementation.IsOurs, "The official package does not notice.");

        var state = await world.Client.WaitForWorkflowCompletionAsync(await StartAsync("Sleepless", ""), cancellation: Token);

        Assert.Contains("Task.Delay", state.FailureDetails!.ErrorMessage, StringComparison.Ordinal);
    }

    private async Task<List<string>> AllIdsAsync()
    {
        var (ids, page) = (new List<string>(), await world.Client.ListInstanceIdsAsync(null, 5, Token));
        ids.AddRange(page.InstanceIds);
        while (page.ContinuationToken is { } more)
        {
            Assert.True(page.InstanceIds.Count <= 5);
            page = await world.Client.ListInstanceIdsAsync(more, 5, Token);
            ids.AddRange(page.InstanceIds);
        }

        return ids;
    }
}
