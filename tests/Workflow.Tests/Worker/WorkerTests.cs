using Dapr.Workflow;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Worker;

public sealed class WorkerTests
{
    private static void Echo(WorkflowRuntimeOptions options)
    {
        options.RegisterWorkflow<string?, string?>("W", (_, input) => Task.FromResult(input));
        options.RegisterActivity<string?, string?>("Echo", (_, input) => Task.FromResult(input));
    }

    [Fact]
    public async Task Every_call_shows_the_token_and_every_answer_that_of_its_item()
    {
        await using var rig = await WorkerRig.StartAsync(Echo);

        rig.Hub.Give(WorkerRig.Turn(Turn(), Started("\"x\"")));
        rig.Hub.Give(WorkerRig.Activity("Echo", "\"y\"", 7, "activity-token"));
        await Wait.UntilAsync("both items are answered", () => rig.Hub.Turns.Count == 1 && rig.Hub.Activities.Count == 1);

        var (turn, activity) = (rig.Hub.Turns.Single(), rig.Hub.Activities.Single());
        Assert.Equal(("i", "turn-token", "\"x\""), (turn.InstanceId, turn.CompletionToken, turn.Actions[0].CompleteWorkflow.Result));
        Assert.Equal(("i", 7, "activity-token", "\"y\""), (activity.InstanceId, activity.TaskId, activity.CompletionToken, activity.Result));
        Assert.Equal(["CompleteActivityTask", "CompleteOrchestratorTask", "GetWorkItems", "Hello"], rig.Hub.Calls.Select(call => call.Method).Distinct().Order());
        Assert.All(rig.Hub.Calls, call => Assert.Equal("secret", call.Token));
    }

    [Fact]
    public async Task An_activity_gets_its_key_and_services_of_its_own_and_its_failure_is_told()
    {
        await using var rig = await WorkerRig.StartAsync(options => options.RegisterActivity<Scoped>(), services => services.AddScoped<object>());

        rig.Hub.Give(WorkerRig.Activity("Scoped", "0", 1));
        rig.Hub.Give(WorkerRig.Activity("Scoped", "1", 2));
        rig.Hub.Give(WorkerRig.Activity("Unknown", null, 3));
        await Wait.UntilAsync("three items are answered", () => rig.Hub.Activities.Count == 3);

        var byTask = rig.Hub.Activities.ToDictionary(answer => answer.TaskId);
        Assert.Equal("\"Scoped key-1 i\"", byTask[1].Result);
        Assert.Equal(("System.NotSupportedException", "no odd numbers"), (byTask[2].FailureDetails.ErrorType, byTask[2].FailureDetails.ErrorMessage));
        Assert.Equal("ActivityNotFoundException", byTask[3].FailureDetails.ErrorType);
        Assert.Contains("'Unknown'", byTask[3].FailureDetails.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(2, Scoped.Services.Distinct().Count());
    }

    [Fact]
    public async Task No_more_activities_run_at_a_time_than_allowed()
    {
        var gate = new SemaphoreSlim(0);
        var (running, most, started) = (0, 0, 0);
        await using var rig = await WorkerRig.StartAsync(options =>
        {
            options.MaxConcurrentActivities = 2;
            options.RegisterActivity<string?, string?>("Slow", async (_, _) =>
            {
                lock (gate)
                {
                    most = Math.Max(most, ++running);
                    started++;
                }

                await gate.WaitAsync();
                lock (gate)
                {
                    running--;
                }

                return null;
            });
        });

        for (var task = 0; task < 5; task++)
        {
            rig.Hub.Give(WorkerRig.Activity("Slow", null, task));
        }

        await Wait.UntilAsync("two have started", () => Volatile.Read(ref started) == 2);
        gate.Release();
        await Wait.UntilAsync("a third has started", () => Volatile.Read(ref started) == 3);
        gate.Release(4);
        await Wait.UntilAsync("all are answered", () => rig.Hub.Activities.Count == 5);
        Assert.Equal(2, most);
    }

    [Fact]
    public async Task A_lost_stream_is_opened_again_within_five_seconds_and_for_ever()
    {
        await using var rig = await WorkerRig.StartAsync(Echo);

        for (var lost = 1; lost <= 3; lost++)
        {
            rig.Hub.EndStream();
            await Wait.UntilAsync("the loss is noticed", () => rig.Log.Written.Count(line => line.StartsWith("Warning: Workflow worker lost", StringComparison.Ordinal)) == lost);
            await AdvanceUntilAsync(rig, TimeSpan.FromSeconds(5), "the next stream is open", () => rig.Hub.Streams == lost + 1);
        }

        rig.Hub.Give(WorkerRig.Activity("Echo", "\"again\""));
        await Wait.UntilAsync("work goes on", () => rig.Hub.Activities.Count == 1);
    }

    [Fact]
    public async Task A_sidecar_that_no_longer_answers_greetings_is_connected_anew()
    {
        await using var rig = await WorkerRig.StartAsync(Echo);
        await AdvanceUntilAsync(rig, TimeSpan.FromSeconds(30), "a greeting comes of itself", () => rig.Hub.Greetings >= 2);

        rig.Hub.GreetingFailures.Enqueue(StatusCode.Unavailable);

        await AdvanceUntilAsync(rig, TimeSpan.FromSeconds(30), "a second stream is open", () => rig.Hub.Streams == 2);
    }

    [Fact]
    public async Task A_turn_that_ends_after_its_stream_is_not_answered()
    {
        using var gate = new ManualResetEventSlim();
        using var inside = new ManualResetEventSlim();
        await using var rig = await WorkerRig.StartAsync(options => options.RegisterWorkflow<string?, string?>("W", (_, _) =>
        {
            inside.Set();
            gate.Wait();
            return Task.FromResult<string?>("late");
        }));

        rig.Hub.Give(WorkerRig.Turn(Turn(), Started()));
        await Wait.UntilAsync("the turn runs", () => inside.IsSet);
        rig.Hub.EndStream();
        await Wait.UntilAsync("the loss is noticed", () => rig.Log.Written.Any(line => line.Contains("Workflow worker lost", StringComparison.Ordinal)));
        gate.Set();
        await Wait.UntilAsync("the late turn is noticed", () => rig.Log.Written.Any(line => line.Contains("after its stream was lost", StringComparison.Ordinal)));

        Assert.Empty(rig.Hub.Turns);
    }

    [Fact]
    public async Task An_answer_is_sent_again_while_the_sidecar_is_away()
    {
        await using var rig = await WorkerRig.StartAsync(Echo);
        rig.Hub.AnswerFailures.Enqueue(StatusCode.Unavailable);
        rig.Hub.AnswerFailures.Enqueue(StatusCode.Unavailable);

        rig.Hub.Give(WorkerRig.Activity("Echo", "\"x\""));

        await AdvanceUntilAsync(rig, TimeSpan.FromSeconds(1), "the answer has arrived", () => rig.Hub.Activities.Count == 1);
        Assert.Equal("\"x\"", rig.Hub.Activities.Single().Result);
    }

    [Fact]
    public async Task An_answer_that_is_refused_is_dropped_and_not_replaced()
    {
        await using var rig = await WorkerRig.StartAsync(Echo);
        rig.Hub.AnswerFailures.Enqueue(StatusCode.InvalidArgument);

        rig.Hub.Give(WorkerRig.Activity("Echo", "\"x\"", 1));
        await Wait.UntilAsync("the loss is told", () => rig.Log.Written.Any(line => line.Contains("did not reach the sidecar", StringComparison.Ordinal)));
        rig.Hub.Give(WorkerRig.Activity("Echo", "\"y\"", 2));
        await Wait.UntilAsync("the next is answered", () => !rig.Hub.Activities.IsEmpty);

        Assert.Equal(2, Assert.Single(rig.Hub.Activities).TaskId);
    }

    [Fact]
    public async Task Stopping_finishes_what_is_under_way()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var inside = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var rig = await WorkerRig.StartAsync(options => options.RegisterActivity<string?, string>("Slow", async (_, _) =>
        {
            inside.SetResult();
            await gate.Task;
            return "finished";
        }));
        rig.Hub.Give(WorkerRig.Activity("Slow"));
        await inside.Task;

        var stopping = rig.StopAsync();
        gate.SetResult();
        await stopping;

        Assert.Equal("\"finished\"", Assert.Single(rig.Hub.Activities).Result);
    }

    [Fact]
    public async Task A_history_too_long_for_the_item_is_asked_for()
    {
        await using var rig = await WorkerRig.StartAsync(options => options.RegisterWorkflow<int, int>("W", async (context, input) => input + await context.CallActivityAsync<int>("A")));
        rig.Hub.History.Events.AddRange([Turn(), Started("40"), Scheduled(0, "A")]);
        var item = WorkerRig.Turn(Turn(1), Done(0, "2"));
        item.WorkflowRequest.RequiresHistoryStreaming = true;

        rig.Hub.Give(item);

        await Wait.UntilAsync("the turn is answered", () => rig.Hub.Turns.Count == 1);
        Assert.Equal("42", rig.Hub.Turns.Single().Actions[0].CompleteWorkflow.Result);
    }

    [Fact]
    public async Task A_mismatch_is_told_in_the_log_with_both_actions()
    {
        await using var rig = await WorkerRig.StartAsync(options => options.RegisterWorkflow<string?, string?>("W", (context, _) => context.CallActivityAsync<string?>("New")));
        var item = WorkerRig.Turn(Turn(1), Done(0));
        item.WorkflowRequest.PastEvents.AddRange([Turn(), Started(), Scheduled(0, "Old")]);

        rig.Hub.Give(item);

        await Wait.UntilAsync("the turn is answered", () => rig.Hub.Turns.Count == 1);
        Assert.NotNull(rig.Hub.Turns.Single().Actions.Single().WorkflowVersionNotAvailable);
        Assert.Contains(rig.Log.Written, line => line.StartsWith("Error: Workflow W instance i is held", StringComparison.Ordinal)
            && line.Contains("activity 'Old'", StringComparison.Ordinal) && line.Contains("activity 'New'", StringComparison.Ordinal));
    }

    [Fact]
    public async Task With_nothing_registered_no_stream_is_opened()
    {
        await using var rig = await WorkerRig.StartAsync(_ => { }, untilConnected: false);

        await rig.Client.ScheduleNewWorkflowAsync("W", "id");

        Assert.Equal("id", rig.Hub.Starts.Single().InstanceId);
        Assert.Equal(["StartInstance"], rig.Hub.Calls.Select(call => call.Method));
    }

    [Fact]
    public void A_second_registration_is_refused()
    {
        var services = new ServiceCollection().AddDaprWorkflow();

        Assert.Throws<InvalidOperationException>(() => services.AddDaprWorkflow());
    }

    // The driver of the clock: moves it on until the condition holds.
    internal static Task AdvanceUntilAsync(WorkerRig rig, TimeSpan step, string what, Func<bool> condition) => Wait.UntilAsync(what, () =>
    {
        if (condition())
        {
            return true;
        }

        rig.Time.Advance(step);
        return false;
    }, () => string.Join('\n', rig.Log.Written));

    private sealed class Scoped(object service) : WorkflowActivity<int, string>
    {
        public static readonly List<object> Services = [];

        public override Task<string> RunAsync(WorkflowActivityContext context, int input)
        {
            lock (Services)
            {
                Services.Add(service);
            }

            return input % 2 == 1 ? throw new NotSupportedException("no odd numbers") : Task.FromResult($"{context.Identifier} {context.TaskExecutionKey} {context.InstanceId}");
        }
    }
}
