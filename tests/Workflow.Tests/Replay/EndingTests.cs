using Dapr.Workflow;
using Dapr.Workflow.Worker;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class EndingTests
{
    private static async Task<string> Work(WorkflowContext context)
    {
        context.SetCustomStatus("before");
        await context.CallActivityAsync("A");
        context.SetCustomStatus(new { Step = 2 });
        return await context.CallActivityAsync<string>("B");
    }

    [Fact]
    public void An_exception_fails_the_workflow_with_its_type_message_and_place()
    {
        static async Task<string> Throwing(WorkflowContext context)
        {
            await Task.CompletedTask;
            throw new ArgumentException("wrong", new InvalidOperationException("deeper"));
        }

        var failure = Code.Run(Throwing, [], [Turn(), Started()]).Failure();

        Assert.Equal(("System.ArgumentException", "wrong"), (failure.ErrorType, failure.ErrorMessage));
        Assert.Contains(nameof(Throwing), failure.StackTrace, StringComparison.Ordinal);
        Assert.Equal("deeper", failure.InnerFailure.ErrorMessage);
    }

    [Fact]
    public void A_workflow_that_throws_before_its_first_wait_fails_the_same_way()
    {
        Assert.Equal("at once", Code.Run<string>(_ => throw new InvalidOperationException("at once"), [], [Turn(), Started()]).Failure().ErrorMessage);
    }

    [Fact]
    public void A_workflow_that_is_not_registered_fails_and_says_what_to_do()
    {
        var failure = Code.Run(Work, [], [Turn(), Started(name: "Other")]).Failure();

        Assert.Equal(("WorkflowNotFound", true), (failure.ErrorType, failure.IsNonRetriable));
        Assert.Contains("'Other'", failure.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void Input_is_read_as_the_workflows_type_and_unreadable_input_fails_it()
    {
        var doubling = new DelegateWorkflow<int, int>((_, input) => Task.FromResult(input * 2));

        Assert.Equal("42", Code.Run(doubling, [], [Turn(), Started("21")]).Output());
        Assert.Equal("0", Code.Run(doubling, [], [Turn(), Started("")]).Output());
        Assert.Equal("System.Text.Json.JsonException", Code.Run(doubling, [], [Turn(), Started("\"no number\"")]).Failure().ErrorType);
    }

    [Fact]
    public void The_status_is_sent_with_every_turn_once_it_is_set()
    {
        HistoryEvent[] past = [Turn(), Started(), Scheduled(0, "A"), Turn(1), Done(0), Scheduled(1, "B")];

        Assert.Equal("\"before\"", Code.Run(Work, [], past[..2]).Response.CustomStatus);
        Assert.Equal("{\"step\":2}", Code.Run(Work, past[..3], past[3..5]).Response.CustomStatus);
        Assert.Equal("{\"step\":2}", Code.Run(Work, past, [Turn(2), Raised("noise")]).Response.CustomStatus);
    }

    [Fact]
    public void A_status_set_to_nothing_is_taken_back()
    {
        var response = Code.Run(context =>
        {
            context.SetCustomStatus("x");
            context.SetCustomStatus(null);
            return context.CallActivityAsync("A");
        }, [], [Turn(), Started()]).Response;

        Assert.Null(response.CustomStatus);
    }

    [Fact]
    public void A_suspended_instance_asks_for_nothing_and_keeps_its_status()
    {
        var response = Code.Run(Work, [Turn(), Started(), Scheduled(0, "A")], [Turn(1), Done(0), Suspended()]).Response;

        Assert.Empty(response.Actions);
        Assert.Equal("{\"step\":2}", response.CustomStatus);
    }

    [Fact]
    public void What_comes_while_suspended_waits_until_the_instance_is_resumed()
    {
        HistoryEvent[] past = [Turn(), Started(), Scheduled(0, "A"), Turn(1), Suspended()];

        Assert.Empty(Code.Run(Work, past, [Turn(2), Done(0)]).Response.Actions);
        Assert.Equal("B", Code.Run(Work, [.. past, Turn(2), Done(0)], [Turn(3), Resumed()]).Action().ScheduleTask.Name);
    }

    [Fact]
    public void A_terminated_instance_only_ends_whatever_came_with_it()
    {
        var end = Code.Run(Work, [Turn(), Started(), Scheduled(0, "A")], [Turn(1), Terminated("\"enough\""), Done(0)]).Action().CompleteWorkflow;

        Assert.Equal((OrchestrationStatus.Terminated, "\"enough\""), (end.WorkflowStatus, end.Result));
    }

    [Fact]
    public void A_turn_without_a_start_asks_for_nothing()
    {
        Assert.Empty(Code.Run(Work, [], [Turn(), Raised("go")]).Response.Actions);
    }
}
