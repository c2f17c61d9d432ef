using Dapr.Workflow;
using Dapr.Workflow.Worker.Replay;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class DeterminismTests
{
    private static void Mismatch(TurnResult result, int actionId, string expected, string? found)
    {
        var mismatch = Assert.IsType<NonDeterministicWorkflowException>(result.Problem);
        Assert.Equal((actionId, expected, found), (mismatch.ActionId, mismatch.Expected, mismatch.Found));
        Assert.Contains(expected, mismatch.Message, StringComparison.Ordinal);
        Assert.Contains(found ?? "nothing", mismatch.Message, StringComparison.Ordinal);
        Assert.NotNull(result.Action().WorkflowVersionNotAvailable);
    }

    [Fact]
    public void Another_activity_than_the_recorded_one_is_named_beside_it_and_the_instance_is_held()
    {
        var result = Code.Run(context => context.CallActivityAsync("Charge"), [Turn(), Started(), Scheduled(0, "Reserve")], [Turn(1), Done(0)]);

        Mismatch(result, 0, "activity 'Reserve'", "activity 'Charge'");
    }

    [Fact]
    public void A_recorded_action_that_the_code_no_longer_asks_for_is_named()
    {
        Mismatch(Code.Run(_ => Task.CompletedTask, [Turn(), Started(), Scheduled(0, "Reserve")], [Turn(1), Done(0)]), 0, "activity 'Reserve'", null);
    }

    [Fact]
    public void Code_that_fails_where_it_went_on_before_is_held_with_its_exception()
    {
        var result = Code.Run<string>(_ => throw new InvalidOperationException("a bug of the new release"), [Turn(), Started(), Scheduled(0, "Reserve")], [Turn(1), Done(0)]);

        Mismatch(result, 0, "activity 'Reserve'", null);
        Assert.Equal("a bug of the new release", ((NonDeterministicWorkflowException)result.Problem!).CodeFailure!.Message);
    }

    [Fact]
    public void An_action_of_another_kind_is_named()
    {
        var result = Code.Run(context => context.CreateTimer(TimeSpan.FromSeconds(1)), [Turn(), Started(), ChildMade(0, "Child")], [Turn(1), ChildDone(0)]);

        Mismatch(result, 0, "child workflow 'Child'", "a timer");
    }

    [Fact]
    public void An_event_to_another_instance_is_named()
    {
        static Task Sending(WorkflowContext context)
        {
            context.SendEvent("b", "hello", 1);
            return context.CallActivityAsync("A");
        }

        Mismatch(Code.Run(Sending, [Turn(), Started(), Sent(0, "hello", "a"), Scheduled(1, "A")], [Turn(1), Done(1)]), 0, "event 'hello' to 'a'", "event 'hello' to 'b'");
    }

    [Fact]
    public void An_activity_put_in_before_recorded_ones_is_found_by_the_shift()
    {
        static async Task Longer(WorkflowContext context)
        {
            await context.CallActivityAsync("New");
            await context.CallActivityAsync("A");
        }

        Mismatch(Code.Run(Longer, [Turn(), Started(), Scheduled(0, "A")], [Turn(1), Done(0)]), 0, "activity 'A'", "activity 'New'");
    }

    [Fact]
    public void A_timer_for_ever_is_passed_over_only_where_the_history_lacks_it()
    {
        static async Task Waiting(WorkflowContext context)
        {
            await context.WaitForExternalEventAsync<string>("go", Timeout.InfiniteTimeSpan);
            await context.CallActivityAsync("A");
        }

        Mismatch(Code.Run(Waiting, [Turn(), Started(), Turn(1), Raised("go"), Scheduled(0, "B")], [Turn(2), Done(0)]), 0, "activity 'B'", "activity 'A'");
    }
}
