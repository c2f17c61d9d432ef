using Dapr.Workflow;
using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class TimerTests
{
    [Fact]
    public void A_timer_is_set_from_the_turns_own_time()
    {
        var action = Code.Run(context => context.CreateTimer(TimeSpan.FromMinutes(2)), [], [Turn(30), Started()]).Action();

        Assert.Equal(Timestamp.FromDateTime(Noon.AddSeconds(150)), action.CreateTimer.FireAt);
        Assert.Equal(CreateTimerAction.OriginOneofCase.CreateTimer, action.CreateTimer.OriginCase);
    }

    [Fact]
    public void The_clock_stands_at_the_beginning_of_the_turn_that_is_replayed()
    {
        var seen = new List<double>();
        async Task Watching(WorkflowContext context)
        {
            seen.Add((context.CurrentUtcDateTime - Noon).TotalSeconds);
            await context.CreateTimer(TimeSpan.FromSeconds(5));
            seen.Add((context.CurrentUtcDateTime - Noon).TotalSeconds);
            await context.CreateTimer(TimeSpan.FromSeconds(5));
            seen.Add((context.CurrentUtcDateTime - Noon).TotalSeconds);
        }

        Code.Run(Watching, [Turn(1), Started(), TimerMade(0), Turn(7), Fired(0), TimerMade(1)], [Turn(13), Fired(1)]);

        Assert.Equal([1, 7, 13], seen);
    }

    [Fact]
    public void A_time_without_a_kind_counts_as_utc()
    {
        var at = new DateTime(2031, 5, 6, 13, 0, 0, DateTimeKind.Unspecified);

        var action = Code.Run(context => context.CreateTimer(at, CancellationToken.None), [], [Turn(), Started()]).Action();

        Assert.Equal(Timestamp.FromDateTime(Noon.AddHours(1)), action.CreateTimer.FireAt);
    }

    [Fact]
    public void A_cancelled_timer_ends_the_wait_and_its_firing_goes_unheard()
    {
        static async Task<string> Impatient(WorkflowContext context)
        {
            using var stop = new CancellationTokenSource();
            var timer = context.CreateTimer(TimeSpan.FromHours(1), stop.Token);
            await context.CallActivityAsync("A");
            stop.Cancel();
            try
            {
                await timer;
                return "fired";
            }
            catch (OperationCanceledException)
            {
                return await context.CallActivityAsync<string>("B");
            }
        }

        HistoryEvent[] past = [Turn(), Started(), TimerMade(0), Scheduled(1, "A"), Turn(1), Done(1), Scheduled(2, "B")];

        Assert.Equal("B", Code.Run(Impatient, past[..4], past[4..6]).Action().ScheduleTask.Name);
        Assert.Equal("\"b\"", Code.Run(Impatient, past, [Turn(2), Fired(0), Done(2, "\"b\"")]).Output());
    }
}
