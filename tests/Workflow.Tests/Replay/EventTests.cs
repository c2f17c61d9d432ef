using Dapr.Workflow;
using Dapr.Workflow.Worker.Replay;
using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class EventTests
{
    private static Timestamp At(double seconds) => Timestamp.FromDateTime(Noon.AddSeconds(seconds));

    [Fact]
    public void A_wait_without_limit_asks_for_nothing()
    {
        Assert.Empty(Code.Run(context => context.WaitForExternalEventAsync<int>("go"), [], [Turn(), Started()]).Response.Actions);
    }

    [Fact]
    public void An_event_is_found_whatever_the_case_of_its_name()
    {
        Assert.Equal("7", Code.Run(context => context.WaitForExternalEventAsync<int>("Go"), [Turn(), Started()], [Turn(1), Raised("gO", "7")]).Output());
    }

    [Fact]
    public void Events_are_given_to_the_waits_in_their_order()
    {
        static async Task<int[]> Both(WorkflowContext context) =>
            await Task.WhenAll(context.WaitForExternalEventAsync<int>("go"), context.WaitForExternalEventAsync<int>("go"));

        Assert.Equal("[1,2]", Code.Run(Both, [Turn(), Started()], [Turn(1), Raised("go", "1"), Raised("go", "2")]).Output());
    }

    [Fact]
    public void Events_that_came_first_are_kept_in_their_order_and_by_name()
    {
        static async Task<int[]> Later(WorkflowContext context)
        {
            await context.CallActivityAsync("A");
            return [await context.WaitForExternalEventAsync<int>("go"), await context.WaitForExternalEventAsync<int>("other"), await context.WaitForExternalEventAsync<int>("go")];
        }

        var result = Code.Run(Later, [Turn(), Started(), Scheduled(0, "A"), Turn(1), Raised("go", "1"), Raised("other", "2"), Raised("GO", "3")], [Turn(2), Done(0)]);

        Assert.Equal("[1,2,3]", result.Output());
    }

    [Fact]
    public void An_event_before_the_start_is_kept_too()
    {
        Assert.Equal("1", Code.Run(context => context.WaitForExternalEventAsync<int>("go"), [], [Turn(), Raised("go", "1"), Started()]).Output());
    }

    [Fact]
    public void A_wait_with_a_limit_sets_a_timer_that_says_for_which_event()
    {
        var action = Code.Run(context => context.WaitForExternalEventAsync<int>("go", TimeSpan.FromSeconds(9)), [], [Turn(1), Started()]).Action();

        Assert.Equal(At(10), action.CreateTimer.FireAt);
        Assert.Equal("go", action.CreateTimer.ExternalEvent.Name);
    }

    [Fact]
    public void The_event_wins_if_it_comes_before_the_timer_and_the_timer_is_forgotten()
    {
        static async Task<string> Waiting(WorkflowContext context)
        {
            var got = await context.WaitForExternalEventAsync<string>("go", TimeSpan.FromSeconds(9));
            return got + await context.CallActivityAsync<string>("A");
        }

        HistoryEvent[] past = [Turn(), Started(), EventTimerMade(0, "go", At(9)), Turn(1), Raised("go", "\"x\""), Scheduled(1, "A")];

        Assert.Equal("A", Code.Run(Waiting, past[..3], past[3..5]).Action().ScheduleTask.Name);
        Assert.Equal("\"xy\"", Code.Run(Waiting, past, [Turn(9), Fired(0), Done(1, "\"y\"")]).Output());
    }

    [Fact]
    public void The_timer_ends_the_wait_and_a_later_event_goes_to_the_next_one()
    {
        static async Task<string> Waiting(WorkflowContext context)
        {
            try
            {
                await context.WaitForExternalEventAsync<string>("go", TimeSpan.FromSeconds(9));
                return "in time";
            }
            catch (TaskCanceledException)
            {
                return "late " + await context.WaitForExternalEventAsync<string>("go");
            }
        }

        var result = Code.Run(Waiting, [Turn(), Started(), EventTimerMade(0, "go", At(9)), Turn(9), Fired(0)], [Turn(20), Raised("go", "\"x\"")]);

        Assert.Equal("\"late x\"", result.Output());
    }

    [Fact]
    public void A_wait_of_no_time_takes_what_is_there_or_is_cancelled_without_a_timer()
    {
        static async Task<string> Peek(WorkflowContext context)
        {
            try
            {
                return await context.WaitForExternalEventAsync<string>("go", TimeSpan.Zero);
            }
            catch (TaskCanceledException)
            {
                return "nothing";
            }
        }

        Assert.Equal("\"nothing\"", Code.Run(Peek, [], [Turn(), Started()]).Output());
        Assert.Equal("\"x\"", Code.Run(Peek, [], [Turn(), Raised("go", "\"x\""), Started()]).Output());
    }

    [Fact]
    public void A_wait_that_was_given_up_takes_no_event_from_the_others()
    {
        static async Task<string> TwoWaits(WorkflowContext context)
        {
            using var stop = new CancellationTokenSource();
            var first = context.WaitForExternalEventAsync<string>("go", stop.Token);
            var second = context.WaitForExternalEventAsync<string>("go");
            stop.Cancel();
            Assert.True(first.IsCanceled);
            return await second;
        }

        Assert.Equal("\"x\"", Code.Run(TwoWaits, [Turn(), Started()], [Turn(1), Raised("go", "\"x\"")]).Output());
    }

    [Fact]
    public void A_wait_for_ever_sets_a_timer_at_the_end_of_time()
    {
        var action = Code.Run(context => context.WaitForExternalEventAsync<int>("go", Timeout.InfiniteTimeSpan), [], [Turn(), Started()]).Action();

        Assert.Equal(ActionLog.Forever, action.CreateTimer.FireAt);
    }

    [Fact]
    public void A_history_without_the_timer_of_a_wait_for_ever_is_replayed_all_the_same()
    {
        static async Task<string> Forever(WorkflowContext context)
        {
            var first = context.CallActivityAsync<string>("A");
            var go = await context.WaitForExternalEventAsync<string>("go", Timeout.InfiniteTimeSpan);
            var second = context.CallActivityAsync<string>("B");
            return go + await first + await second + await context.CallActivityAsync<string>("C");
        }

        HistoryEvent[] old = [Turn(), Started(), Scheduled(0, "A"), Turn(1), Raised("go", "\"g\""), Scheduled(1, "B"), Turn(2), Done(1, "\"b\""), Done(0, "\"a\"")];
        HistoryEvent[] present =
            [Turn(), Started(), Scheduled(0, "A"), EventTimerMade(1, "go", ActionLog.Forever), Turn(1), Raised("go", "\"g\""), Scheduled(2, "B"), Turn(2), Done(2, "\"b\""), Done(0, "\"a\"")];

        Assert.Equal((2, "C"), (Code.Run(Forever, old[..6], old[6..]).Action().Id, Code.Run(Forever, old[..6], old[6..]).Action().ScheduleTask.Name));
        Assert.Equal(3, Code.Run(Forever, present[..7], present[7..]).Action().Id);
        Assert.Equal("\"gabc\"", Code.Run(Forever, [.. old, Scheduled(2, "C")], [Turn(3), Done(2, "\"c\"")]).Output());
    }

    [Fact]
    public void A_sent_event_names_instance_event_and_payload_and_waits_for_nothing()
    {
        var actions = Code.Run<string>(context =>
        {
            context.SendEvent("other", "hello", new { Frame = 3 });
            return Task.FromResult("done");
        }, [], [Turn(), Started()]).Response.Actions;

        Assert.Equal(("other", "hello", "{\"frame\":3}"), (actions[0].SendEvent.Instance.InstanceId, actions[0].SendEvent.Name, actions[0].SendEvent.Data));
        Assert.Equal("\"done\"", actions[1].CompleteWorkflow.Result);
    }
}
