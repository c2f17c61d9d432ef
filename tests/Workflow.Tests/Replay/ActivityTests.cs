using Dapr.Workflow;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class ActivityTests
{
    private static async Task<int> AddTwice(WorkflowContext context) =>
        await context.CallActivityAsync<int>("Add", 1) + await context.CallActivityAsync<int>("Add", 2);

    [Fact]
    public void The_first_turn_asks_for_the_first_activity()
    {
        var action = Code.Run(AddTwice, [], [Turn(), Started()]).Action();

        Assert.Equal(0, action.Id);
        Assert.Equal("Add", action.ScheduleTask.Name);
        Assert.Equal("1", action.ScheduleTask.Input);
        Assert.NotEmpty(action.ScheduleTask.TaskExecutionId);
    }

    [Fact]
    public void What_the_history_answers_is_not_asked_for_again()
    {
        var action = Code.Run(AddTwice, [Turn(), Started(), Scheduled(0, "Add")], [Turn(1), Done(0, "10")]).Action();

        Assert.Equal(1, action.Id);
        Assert.Equal("2", action.ScheduleTask.Input);
    }

    [Fact]
    public void The_last_answer_ends_the_workflow_with_its_result()
    {
        var result = Code.Run(AddTwice, [Turn(), Started(), Scheduled(0, "Add"), Turn(1), Done(0, "10"), Scheduled(1, "Add")], [Turn(2), Done(1, "32")]);

        Assert.Equal("42", result.Output());
    }

    [Fact]
    public void Parallel_activities_are_asked_for_together_and_may_end_in_any_order()
    {
        static async Task<int[]> Code1(WorkflowContext context) =>
            await Task.WhenAll(context.CallActivityAsync<int>("A"), context.CallActivityAsync<int>("B"), context.CallActivityAsync<int>("C"));
        HistoryEvent[] past = [Turn(), Started(), Scheduled(0, "A"), Scheduled(1, "B"), Scheduled(2, "C")];

        Assert.Equal([0, 1, 2], Code.Run(Code1, [], past[..2]).Response.Actions.Select(action => action.Id));
        Assert.Empty(Code.Run(Code1, past, [Turn(1), Done(2, "3")]).Response.Actions);
        Assert.Equal("[1,2,3]", Code.Run(Code1, past, [Turn(1), Done(2, "3"), Done(0, "1"), Done(1, "2")]).Output());
    }

    [Fact]
    public void The_first_of_several_to_end_decides_by_the_order_of_the_history()
    {
        static async Task<string> First(WorkflowContext context) =>
            await await Task.WhenAny(context.CallActivityAsync<string>("A"), context.CallActivityAsync<string>("B"));
        HistoryEvent[] past = [Turn(), Started(), Scheduled(0, "A"), Scheduled(1, "B")];

        Assert.Equal("\"b\"", Code.Run(First, past, [Turn(1), Done(1, "\"b\""), Done(0, "\"a\"")]).Output());
        Assert.Equal("\"a\"", Code.Run(First, past, [Turn(1), Done(0, "\"a\""), Done(1, "\"b\"")]).Output());
    }

    [Fact]
    public void A_failed_activity_throws_its_details_into_the_workflow()
    {
        static async Task<string> Catching(WorkflowContext context)
        {
            try
            {
                await context.CallActivityAsync("A");
                return "no";
            }
            catch (WorkflowTaskFailedException failure) when (failure.FailureDetails.IsCausedBy<InvalidOperationException>())
            {
                return failure.Message + "|" + failure.FailureDetails.ErrorMessage;
            }
        }

        var result = Code.Run(Catching, [Turn(), Started(), Scheduled(0, "A")], [Turn(1), Failed(0, "no GPU")]);

        Assert.Equal("\"Activity \\u0027A\\u0027 failed: no GPU|no GPU\"", result.Output());
    }

    [Fact]
    public void An_end_that_comes_before_its_task_is_kept_for_it()
    {
        static async Task<string> Late(WorkflowContext context)
        {
            await context.WaitForExternalEventAsync<string>("go");
            return await context.CallActivityAsync<string>("A");
        }

        var result = Code.Run(Late, [Turn(), Started()], [Turn(1), Done(0, "\"early\""), Raised("go")]);

        Assert.Equal("\"early\"", result.Output());
    }

    [Fact]
    public void An_activity_of_another_app_carries_that_apps_name()
    {
        var action = Code.Run(context => context.CallActivityAsync("A", options: new WorkflowTaskOptions(TargetAppId: "ledger")), [], [Turn(), Started()]).Action();

        Assert.Equal("ledger", action.Router.TargetAppID);
    }

    [Fact]
    public void An_activity_that_may_see_the_history_says_how_much()
    {
        var options = new WorkflowTaskOptions().WithHistoryPropagation(Dapr.Workflow.HistoryPropagationScope.Lineage);
        var action = Code.Run(context => context.CallActivityAsync("A", options: options), [], [Turn(), Started()]).Action();

        Assert.Equal(TaskHubProtocol.HistoryPropagationScope.Lineage, action.ScheduleTask.HistoryPropagationScope);
    }

    [Fact]
    public void Nothing_as_input_travels_as_an_empty_text_and_an_empty_result_is_nothing()
    {
        static async Task<string> Nothing(WorkflowContext context) => await context.CallActivityAsync<string?>("A") ?? "none";

        Assert.Equal("", Code.Run(Nothing, [], [Turn(), Started()]).Action().ScheduleTask.Input);
        Assert.Equal("\"none\"", Code.Run(Nothing, [Turn(), Started(), Scheduled(0, "A")], [Turn(1), Done(0, "")]).Output());
    }

    [Fact]
    public void The_execution_key_differs_between_calls_and_between_generations_but_not_between_replays()
    {
        static Task Two(WorkflowContext context) => Task.WhenAll(context.CallActivityAsync("A"), context.CallActivityAsync("A"));
        static string[] Keys(string executionId) => [.. Code.Run(Two, [], [Turn(), Started(executionId: executionId)]).Response.Actions.Select(action => action.ScheduleTask.TaskExecutionId)];

        var (first, again, next) = (Keys("generation-1"), Keys("generation-1"), Keys("generation-2"));

        Assert.Equal(first, again);
        Assert.Equal(4, first.Concat(next).Distinct().Count());
    }
}
