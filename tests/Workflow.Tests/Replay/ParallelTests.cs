using Dapr.Workflow;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class ParallelTests
{
    private static Task<string[]> Fan(WorkflowContext context) => context.ProcessInParallelAsync([1, 2, 3], number => context.CallActivityAsync<string>("A", number), 2);

    [Fact]
    public void No_more_than_the_limit_run_at_a_time()
    {
        Assert.Equal(["1", "2"], Code.Run(Fan, [], [Turn(), Started()]).Response.Actions.Select(action => action.ScheduleTask.Input));
        Assert.Equal("3", Code.Run(Fan, [Turn(), Started(), Scheduled(0, "A"), Scheduled(1, "A")], [Turn(1), Done(1, "\"b\"")]).Action().ScheduleTask.Input);
    }

    [Fact]
    public void Results_keep_the_order_of_the_inputs()
    {
        var result = Code.Run(Fan, [Turn(), Started(), Scheduled(0, "A"), Scheduled(1, "A"), Turn(1), Done(1, "\"b\""), Scheduled(2, "A")], [Turn(2), Done(2, "\"c\""), Done(0, "\"a\"")]);

        Assert.Equal("[\"a\",\"b\",\"c\"]", result.Output());
    }

    [Fact]
    public void All_failures_are_gathered_after_the_rest_has_ended()
    {
        var failure = Code.Run(Fan, [Turn(), Started(), Scheduled(0, "A"), Scheduled(1, "A"), Turn(1), Failed(0, "first"), Scheduled(2, "A")], [Turn(2), Failed(1, "second"), Done(2)]).Failure();

        Assert.Equal("System.AggregateException", failure.ErrorType);
        Assert.Contains("first", failure.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains("second", failure.ErrorMessage, StringComparison.Ordinal);
    }
}
