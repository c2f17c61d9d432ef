using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>Starting, looking, waiting, listing, removing.</summary>
public sealed class ClientTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database);

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task A_start_answers_when_the_first_turn_is_committed()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("waits");
        var turn = await worker.NextTurnAsync();
        var pending = await rig.StateAsync("waits");
        await Task.WhenAny(start, Task.Delay(200, Token));
        var wasOpen = !start.IsCompleted;
        await worker.AnswerAsync(turn, response => response.CustomStatus = "\"going\"");
        await start;
        var running = await rig.StateAsync("waits");

        Assert.True(wasOpen, "the start answered before its first turn");
        Assert.Equal(OrchestrationStatus.Pending, pending.WorkflowStatus);
        Assert.Equal((OrchestrationStatus.Running, "\"going\""), (running.WorkflowStatus, running.CustomStatus));
    }

    [Fact]
    public async Task A_start_without_a_worker_waits_for_one()
    {
        var start = rig.Start("early");
        await Wait.UntilAsync("it is there", async () => (await rig.StateAsync("early")) is not null);
        await using var worker = await rig.WorkerAsync();
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());

        Assert.Equal("early", (await start).InstanceId);
    }

    [Fact]
    public async Task A_start_without_an_id_gets_one()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("");
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete());

        Assert.NotEmpty((await start).InstanceId);
        Assert.Equal((await start).InstanceId, turn.WorkflowRequest.InstanceId);
    }

    [Fact]
    public async Task An_id_in_use_is_refused_and_one_that_has_ended_begins_anew()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("reused", input: "1");
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn);
        await start;
        var refused = await Assert.ThrowsAsync<RpcException>(() => rig.Start("reused"));
        await rig.RaiseAsync("reused", "end");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete("first"));
        await rig.CompletedAsync("reused");
        var unique = await Assert.ThrowsAsync<RpcException>(() => rig.Start("reused", change: request => request.EnforceUniqueInstanceId = true));
        var again = rig.Start("reused", input: "2");
        var second = await worker.NextTurnAsync();
        await worker.AnswerAsync(second, Do.Complete("second"));
        await again;

        Assert.Equal(StatusCode.AlreadyExists, refused.StatusCode);
        Assert.Equal(StatusCode.AlreadyExists, unique.StatusCode);
        Assert.Empty(second.WorkflowRequest.PastEvents);
        Assert.NotEqual(turn.WorkflowRequest.ExecutionId, second.WorkflowRequest.ExecutionId);
        Assert.Equal(("2", "second"), ((await rig.StateAsync("reused")).Input, (await rig.StateAsync("reused")).Output));
    }

    [Fact]
    public async Task An_ended_id_is_not_reused_while_a_child_of_it_runs()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("family");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Child(0, "child", "offspring"));
        await start;
        await worker.AnswerAsync(await worker.NextTurnAsync("offspring"));
        await rig.RaiseAsync("family", "end");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());
        await rig.CompletedAsync("family");
        var refused = await Assert.ThrowsAsync<RpcException>(() => rig.Start("family"));
        await rig.RaiseAsync("offspring", "end");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());
        await rig.CompletedAsync("offspring");
        var again = rig.Start("family");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());
        await again;

        Assert.Equal(StatusCode.AlreadyExists, refused.StatusCode);
    }

    [Fact]
    public async Task A_scheduled_start_answers_at_once_and_begins_at_its_time()
    {
        await using var worker = await rig.WorkerAsync();
        var due = DateTimeOffset.FromUnixTimeMilliseconds(DateTimeOffset.UtcNow.AddSeconds(1.5).ToUnixTimeMilliseconds());
        await rig.Start("later", change: request => request.ScheduledStartTimestamp = Timestamp.FromDateTimeOffset(due));
        var pending = await rig.StateAsync("later");
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete());

        Assert.Equal((OrchestrationStatus.Pending, due), (pending.WorkflowStatus, pending.ScheduledStartTimestamp.ToDateTimeOffset()));
        Assert.True(turn.WorkflowRequest.NewEvents[0].Timestamp.ToDateTimeOffset() >= due);
    }

    [Fact]
    public async Task What_a_client_gives_comes_back_and_payloads_only_on_request()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("told", "named", "{\"in\":1}", request =>
        {
            request.Version = "v7";
            request.Tags.Add("k", "v");
            request.ParentTraceContext = new TraceContext { TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
        });
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Task(0, "traced"), Do.Complete("{\"out\":2}"));
        await start;
        var full = await rig.CompletedAsync("told");
        var bare = (await rig.Hub.GetInstanceAsync(new GetInstanceRequest { InstanceId = "told" }, cancellationToken: Token)).WorkflowState;
        var activity = await worker.NextActivityAsync();

        Assert.Equal(("named", "v7", "v"), (full.Name, full.Version, full.Tags["k"]));
        Assert.Equal(("{\"in\":1}", "{\"out\":2}"), (full.Input, full.Output));
        Assert.Equal((null, null), (bare.Input, bare.Output));
        Assert.NotNull(bare.CompletedTimestamp);
        Assert.Equal("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", activity.ActivityRequest.ParentTraceContext.TraceParent);
    }

    [Fact]
    public async Task An_unknown_instance_is_told_as_daprd_tells_it()
    {
        Assert.False((await rig.Hub.GetInstanceAsync(new GetInstanceRequest { InstanceId = "none" }, cancellationToken: Token)).Exists);
        Status[] refusals =
        [
            await WorkflowRig.RefusedAsync(rig.Hub.RaiseEventAsync(new RaiseEventRequest { InstanceId = "none", Name = "x" }, cancellationToken: Token)),
            await WorkflowRig.RefusedAsync(rig.Hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = "none" }, cancellationToken: Token)),
            await WorkflowRig.RefusedAsync(rig.Hub.SuspendInstanceAsync(new SuspendRequest { InstanceId = "none" }, cancellationToken: Token)),
            await WorkflowRig.RefusedAsync(rig.Hub.ResumeInstanceAsync(new ResumeRequest { InstanceId = "none" }, cancellationToken: Token)),
            await WorkflowRig.RefusedAsync(rig.Hub.PurgeInstancesAsync(new PurgeInstancesRequest { InstanceId = "none" }, cancellationToken: Token)),
        ];

        Assert.All(refusals, refusal => Assert.Equal(StatusCode.Unknown, refusal.StatusCode));
        Assert.All(refusals, refusal => Assert.EndsWith("no such instance exists", refusal.Detail, StringComparison.Ordinal));
        Assert.Equal(StatusCode.NotFound, (await WorkflowRig.RefusedAsync(rig.Hub.GetInstanceHistoryAsync(new GetInstanceHistoryRequest { InstanceId = "none" }, cancellationToken: Token))).StatusCode);
    }

    [Fact]
    public async Task A_wait_for_an_instance_that_does_not_exist_lasts_until_it_does()
    {
        await using var worker = await rig.WorkerAsync();
        var wait = rig.CompletedAsync("unborn");
        var started = rig.Hub.WaitForInstanceStartAsync(new GetInstanceRequest { InstanceId = "unborn" }, deadline: WorkflowRig.Deadline, cancellationToken: Token);
        var start = rig.Start("unborn");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete("1"));
        await start;

        Assert.Equal("1", (await wait).Output);
        Assert.True((await started).Exists);
        await Assert.ThrowsAsync<RpcException>(async () => await rig.Hub.WaitForInstanceCompletionAsync(new GetInstanceRequest { InstanceId = "never" }, deadline: DateTime.UtcNow.AddMilliseconds(300), cancellationToken: Token));
    }

    [Fact]
    public async Task Instances_are_listed_in_pages_and_only_the_apps_own()
    {
        await using var worker = await rig.WorkerAsync();
        foreach (var id in (string[])["a", "b", "c", "d", "e"])
        {
            var start = rig.Start(id);
            await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());
            await start;
        }

        var seen = new List<string>();
        string? token = null;
        var pages = 0;
        do
        {
            var request = new ListInstanceIDsRequest { PageSize = 2 };
            if (token is not null)
            {
                request.ContinuationToken = token;
            }

            var page = await rig.Hub.ListInstanceIDsAsync(request, cancellationToken: Token);
            seen.AddRange(page.InstanceIds);
            token = page.HasContinuationToken ? page.ContinuationToken : null;
            pages++;
        }
        while (token is not null);

        Assert.Equal(["a", "b", "c", "d", "e"], seen);
        Assert.Equal(3, pages);
        Assert.Empty((await rig.Connect(rig.Two).ListInstanceIDsAsync(new ListInstanceIDsRequest(), cancellationToken: Token)).InstanceIds);
    }

    [Fact]
    public async Task Purging_takes_what_has_ended_with_its_children_and_refuses_the_rest()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("old");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Child(0, "child", "old-child"));
        await start;
        await worker.AnswerAsync(await worker.NextTurnAsync("old-child"));
        var tooEarly = await WorkflowRig.RefusedAsync(rig.Hub.PurgeInstancesAsync(new PurgeInstancesRequest { InstanceId = "old", Recursive = true }, cancellationToken: Token));
        await rig.RaiseAsync("old", "end");
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete());
        await rig.CompletedAsync("old");
        var childRuns = await WorkflowRig.RefusedAsync(rig.Hub.PurgeInstancesAsync(new PurgeInstancesRequest { InstanceId = "old", Recursive = true }, cancellationToken: Token));
        var forced = await rig.Hub.PurgeInstancesAsync(new PurgeInstancesRequest { InstanceId = "old", Recursive = true, Force = true }, cancellationToken: Token);

        Assert.Equal(StatusCode.Unknown, tooEarly.StatusCode);
        Assert.Contains("orchestration has not yet completed", tooEarly.Detail, StringComparison.Ordinal);
        Assert.Contains("orchestration has not yet completed", childRuns.Detail, StringComparison.Ordinal);
        Assert.Equal((2, true), (forced.DeletedInstanceCount, forced.IsComplete));
        Assert.Null(await rig.StateAsync("old"));
        Assert.Null(await rig.StateAsync("old-child"));
    }

    [Fact]
    public async Task A_filter_purges_what_has_ended_in_that_state_and_time()
    {
        await using var worker = await rig.WorkerAsync();
        foreach (var (id, end) in (List<(string, WorkflowAction[])>)[("done", [Do.Complete()]), ("failed", [Do.Complete(status: OrchestrationStatus.Failed)]), ("open", [])])
        {
            var start = rig.Start(id);
            await worker.AnswerAsync(await worker.NextTurnAsync(), end);
            await start;
        }

        var filter = new PurgeInstanceFilter { CreatedTimeFrom = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow.AddHours(-1)), RuntimeStatus = { OrchestrationStatus.Failed } };
        var failed = await rig.Hub.PurgeInstancesAsync(new PurgeInstancesRequest { PurgeInstanceFilter = filter }, cancellationToken: Token);
        var all = await rig.Hub.PurgeInstancesAsync(new PurgeInstancesRequest { PurgeInstanceFilter = new PurgeInstanceFilter() }, cancellationToken: Token);

        Assert.Equal((1, 1), (failed.DeletedInstanceCount, all.DeletedInstanceCount));
        Assert.Equal(OrchestrationStatus.Running, (await rig.StateAsync("open")).WorkflowStatus);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
