using System.Diagnostics;
using Dapr.Workflow;
using Grpc.Core;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Workflow.Tests.Worker;

public sealed class ClientTests
{
    private static GetInstanceResponse Completed() => new() { Exists = true, WorkflowState = new() { InstanceId = "i", WorkflowStatus = OrchestrationStatus.Completed } };

    private static Func<GetInstanceResponse> Throws(StatusCode code) => () => throw new RpcException(new Status(code, "The test asked for this."));

    [Fact]
    public async Task A_wait_goes_on_while_the_sidecar_is_away_and_then_fetches_the_output()
    {
        await using var rig = await WorkerRig.StartAsync(_ => { }, untilConnected: false);
        rig.Hub.Waits.Enqueue(Throws(StatusCode.Unavailable));
        rig.Hub.Waits.Enqueue(Throws(StatusCode.DeadlineExceeded));
        rig.Hub.Waits.Enqueue(Completed);

        var waiting = rig.Client.WaitForWorkflowCompletionAsync("i", cancellation: TestContext.Current.CancellationToken);
        await WorkerTests.AdvanceUntilAsync(rig, TimeSpan.FromSeconds(1), "the wait is over", () => waiting.IsCompleted);

        var state = await waiting;
        Assert.True(state.IsWorkflowCompleted);
        Assert.Equal("done", state.ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_wait_for_an_instance_that_the_sidecar_does_not_know_is_an_error_that_names_it()
    {
        await using var rig = await WorkerRig.StartAsync(_ => { }, untilConnected: false);
        rig.Hub.Waits.Enqueue(() => new GetInstanceResponse());

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => rig.Client.WaitForWorkflowCompletionAsync("i", cancellation: TestContext.Current.CancellationToken));

        Assert.Contains("'i'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_error_of_the_sidecar_ends_the_wait()
    {
        await using var rig = await WorkerRig.StartAsync(_ => { }, untilConnected: false);
        rig.Hub.Waits.Enqueue(Throws(StatusCode.PermissionDenied));

        var error = await Assert.ThrowsAsync<RpcException>(() => rig.Client.WaitForWorkflowCompletionAsync("i", cancellation: TestContext.Current.CancellationToken));

        Assert.Equal(StatusCode.PermissionDenied, error.StatusCode);
    }

    [Fact]
    public async Task A_start_carries_input_time_and_the_callers_span()
    {
        await using var rig = await WorkerRig.StartAsync(_ => { }, untilConnected: false);
        var at = new DateTimeOffset(2031, 1, 1, 12, 0, 0, TimeSpan.FromHours(2));
        using var span = new Activity("caller").SetIdFormat(ActivityIdFormat.W3C).Start();

        var id = await rig.Client.ScheduleNewWorkflowAsync("W", null, new { Frame = 1 }, at, TestContext.Current.CancellationToken);

        var start = rig.Hub.Starts.Single();
        Assert.Equal(("W", id, "{\"frame\":1}", span.Id), (start.Name, start.InstanceId, start.Input, start.ParentTraceContext.TraceParent));
        Assert.Equal(at, start.ScheduledStartTimestamp.ToDateTimeOffset());
    }

    [Fact]
    public async Task An_input_for_a_rerun_that_would_not_be_used_is_refused()
    {
        await using var rig = await WorkerRig.StartAsync(_ => { }, untilConnected: false);

        var error = await Assert.ThrowsAsync<ArgumentException>(() => rig.Client.RerunWorkflowFromEventAsync("i", 1, new() { Input = 1 }, TestContext.Current.CancellationToken));

        Assert.Contains("OverwriteInput", error.Message, StringComparison.Ordinal);
    }
}
