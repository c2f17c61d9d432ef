using Dapr.Workflow;
using Dapr.Workflow.Worker.Replay;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class ForeignWaitTests
{
    [Fact]
    public void Waiting_for_something_foreign_fails_the_workflow_and_says_what_to_do()
    {
        var never = new TaskCompletionSource();

        var failure = Code.Run(_ => never.Task, [], [Turn(), Started()]).Failure();

        Assert.Contains("waits for something that is not its context's", failure.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains("activity", failure.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Going_on_after_the_turn_is_reported_when_something_of_the_contexts_is_open_too()
    {
        var foreign = new List<Exception>();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task<string?> Mixed(WorkflowContext context)
        {
            var activity = context.CallActivityAsync("A");
            await gate.Task;
            context.SetCustomStatus("from elsewhere");
            await activity;
            return null;
        }

        var first = Code.Run(Mixed, [], [Turn(), Started()], foreign: foreign);
        gate.SetResult();

        Assert.Equal("A", first.Action().ScheduleTask.Name);
        await Wait.UntilAsync("the late call is reported", () =>
        {
            lock (foreign)
            {
                return foreign.Count > 0;
            }
        });
        Assert.Contains("SetCustomStatus", Assert.Single(foreign).Message, StringComparison.Ordinal);
        Assert.IsType<ForeignWaitException>(Code.Run(_ => new TaskCompletionSource().Task, [Turn(), Started()], [Turn(1), Raised("noise")]).Problem);
    }

    [Fact]
    public void Calling_the_context_from_another_thread_fails_the_workflow()
    {
        static async Task<string> Elsewhere(WorkflowContext context)
        {
            var thread = new Thread(() => Assert.Throws<ForeignWaitException>(() => context.NewGuid()));
            thread.Start();
            thread.Join();
            return await context.CallActivityAsync<string>("A");
        }

        Assert.Contains("NewGuid", Code.Run(Elsewhere, [], [Turn(), Started()]).Failure().ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_token_that_a_clock_cancels_does_no_harm_and_is_reported()
    {
        using var stop = new CancellationTokenSource();
        var foreign = new List<Exception>();

        Code.Run<string?>(async context =>
        {
            await context.CreateTimer(TimeSpan.FromHours(1), stop.Token);
            return null;
        }, [], [Turn(), Started()], foreign: foreign);
        stop.Cancel();

        Assert.Contains("a timer was cancelled", Assert.Single(foreign).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ConfigureAwait_and_nested_helpers_stay_on_the_turns_thread()
    {
        static async Task<int> Helper(WorkflowContext context, string name) => await context.CallActivityAsync<int>(name).ConfigureAwait(false) + 1;
        static async Task<int> Nested(WorkflowContext context)
        {
            var thread = Environment.CurrentManagedThreadId;
            var sum = await Helper(context, "A").ConfigureAwait(false) + await Helper(context, "B").ConfigureAwait(false);
            Assert.Equal(thread, Environment.CurrentManagedThreadId);
            return sum;
        }

        Assert.Equal("32", Code.Run(Nested, [Turn(), Started(), Scheduled(0, "A"), Turn(1), Done(0, "10"), Scheduled(1, "B")], [Turn(2), Done(1, "20")]).Output());
    }
}
