using CsCheck;
using Dapr.Workflow.Worker.Replay;
using RenderTrust.TaskHubProtocol;
using EventCase = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Workflow.Tests.Replay;

/// <summary>Small workflows made at random, lived through in a random world. RENDERTRUST_LONG=1 makes many more.</summary>
public sealed class ProgramTests
{
    private static readonly int Samples = Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1" ? 20_000 : 400;

    private static readonly Gen<(List<Step> Program, int Seed)> Lives = Gen.Select(Programs.Any, Gen.Int);

    [Fact]
    public void Every_prefix_of_a_history_gives_the_actions_that_were_given_then() => Lives.Sample(life =>
    {
        var story = new Story(life.Program, life.Seed).Live();
        Assert.NotEmpty(story.Turns);
        foreach (var turn in story.Turns)
        {
            var again = Replay(life.Program, turn.Past, turn.Fresh);
            Assert.Null(again.Problem);
            Assert.Equal(turn.Result.Response, again.Response);
        }
    }, iter: Samples, threads: 1);

    [Fact]
    public void Where_past_and_present_meet_makes_no_difference_but_to_patches() => Lives.Sample(life =>
    {
        var story = new Story(life.Program, life.Seed).Live();
        var cut = new Random(life.Seed);
        foreach (var turn in story.Turns.Where(turn => turn.Result.Response.Version is null))
        {
            HistoryEvent[] all = [.. turn.Past, .. turn.Fresh];
            var at = cut.Next(all.Length + 1);
            var again = Replay(life.Program, all[..at], all[at..]);
            if (again.Response.Version is null)
            {
                Assert.Equal(turn.Result.Response, again.Response);
            }
        }
    }, iter: Samples, threads: 1);

    [Fact]
    public void Once_committed_nothing_is_asked_for_twice() => Lives.Sample(life =>
    {
        var story = new Story(life.Program, life.Seed).Live();
        foreach (var turn in story.Turns.Skip(1))
        {
            // The whole history before this turn, and a turn in which nothing happens.
            var idle = Replay(life.Program, turn.Past, [turn.Fresh[0]]);
            Assert.Null(idle.Problem);
            Assert.Empty(idle.Response.Actions);
        }
    }, iter: Samples, threads: 1);

    [Fact]
    public void An_action_changed_in_the_history_is_found_and_both_are_named() => Lives.Sample(life =>
    {
        var story = new Story(life.Program, life.Seed).Live();
        var last = story.Turns[^1];
        if (last.Past.FirstOrDefault(entry => entry.EventTypeCase == EventCase.TaskScheduled) is not { } recorded)
        {
            return;
        }

        var past = last.Past.Select(entry => entry.Clone()).ToArray();
        past.First(entry => entry.EventTypeCase == EventCase.TaskScheduled).TaskScheduled.Name = "changed";

        var mismatch = Assert.IsType<NonDeterministicWorkflowException>(Replay(life.Program, past, last.Fresh).Problem);
        Assert.Equal(("activity 'changed'", $"activity '{recorded.TaskScheduled.Name}'"), (mismatch.Expected, mismatch.Found));
    }, iter: Samples, threads: 1);

    private static TurnResult Replay(IReadOnlyList<Step> program, HistoryEvent[] past, HistoryEvent[] fresh) =>
        Code.Run(context => Programs.InterpretAsync(context, program), past, fresh);
}
