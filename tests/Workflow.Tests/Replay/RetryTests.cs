using Dapr.Workflow;
using Dapr.Workflow.Worker.Replay;
using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class RetryTests
{
    private static readonly WorkflowRetryPolicy Policy = new(3, TimeSpan.FromSeconds(10), 2);

    private static Task<string> Trying(WorkflowContext context) => context.CallActivityAsync<string>("A", options: new WorkflowTaskOptions(Policy));

    [Fact]
    public void A_failure_sets_a_timer_whose_firing_asks_again_under_the_same_key()
    {
        HistoryEvent[] story = [Turn(), Started(), Scheduled(0, "A"), Turn(1), Failed(0), TimerMade(1), Turn(11), Fired(1), Scheduled(2, "A")];
        var first = Code.Run(Trying, [], story[..2]).Action();

        var timer = Code.Run(Trying, story[..3], story[3..5]).Action();
        var second = Code.Run(Trying, story[..6], story[6..8]).Action();

        Assert.Equal((1, Timestamp.FromDateTime(Noon.AddSeconds(11))), (timer.Id, timer.CreateTimer.FireAt));
        Assert.Equal(first.ScheduleTask.TaskExecutionId, timer.CreateTimer.ActivityRetry.TaskExecutionId);
        Assert.Equal((2, first.ScheduleTask.TaskExecutionId), (second.Id, second.ScheduleTask.TaskExecutionId));
        Assert.Equal("\"x\"", Code.Run(Trying, story, [Turn(12), Done(2, "\"x\"")]).Output());
    }

    [Fact]
    public void The_last_failure_is_thrown_when_the_tries_are_used_up()
    {
        HistoryEvent[] past =
        [
            Turn(), Started(), Scheduled(0, "A"), Turn(1), Failed(0, "one"), TimerMade(1), Turn(11), Fired(1), Scheduled(2, "A"),
            Turn(12), Failed(2, "two"), TimerMade(3), Turn(32), Fired(3), Scheduled(4, "A"),
        ];

        var failure = Code.Run(Trying, past, [Turn(33), Failed(4, "three")]).Failure();

        Assert.Equal("three", failure.InnerFailure.ErrorMessage);
    }

    [Fact]
    public void A_failed_child_is_tried_again_as_a_new_child_and_the_timer_names_the_first()
    {
        static Task<string> Parent(WorkflowContext context) => context.CallChildWorkflowAsync<string>("C", options: new ChildWorkflowTaskOptions(RetryPolicy: Policy));
        HistoryEvent[] story = [Turn(), Started(), ChildMade(0, "C"), Turn(1), ChildFailed(0), TimerMade(1), Turn(11), Fired(1)];
        var first = Code.Run(Parent, [], story[..2]).Action().CreateChildWorkflow.InstanceId;

        var timer = Code.Run(Parent, story[..3], story[3..5]).Action().CreateTimer;
        var second = Code.Run(Parent, story[..6], story[6..]).Action().CreateChildWorkflow.InstanceId;

        Assert.Equal(first, timer.ChildWorkflowRetry.InstanceId);
        Assert.NotEqual(first, second);
    }

    [Theory]
    [InlineData(1, 0, 10.0)]
    [InlineData(2, 0, 20.0)]
    [InlineData(3, 0, 40.0)]
    [InlineData(4, 0, 60.0)]
    [InlineData(60, 0, 60.0)]
    [InlineData(1, 299, 10.0)]
    [InlineData(1, 300, null)]
    [InlineData(100, 0, null)]
    public void The_wait_grows_up_to_its_limit_and_ends_with_tries_or_time(int attempts, int elapsedSeconds, double? expectedSeconds)
    {
        var policy = new WorkflowRetryPolicy(100, TimeSpan.FromSeconds(10), 2, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(5));

        Assert.Equal(expectedSeconds, RetryRules.Delay(policy, attempts, Noon, Noon.AddSeconds(elapsedSeconds))?.TotalSeconds);
    }
}
