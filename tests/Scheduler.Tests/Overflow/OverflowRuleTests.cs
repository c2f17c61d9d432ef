using RenderTrust.Scheduler.Overflow;

namespace RenderTrust.Scheduler.Tests.Overflow;

/// <summary>How many agents the lane asks for, and how soon a failed start is repeated.</summary>
public sealed class OverflowRuleTests
{
    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(1, 0, 1)]
    [InlineData(2, 0, 1)]
    [InlineData(3, 0, 2)]
    [InlineData(1, 2, 2)]
    [InlineData(0, 1, 1)]
    [InlineData(int.MaxValue, int.MaxValue, 3)]
    public void Agents_are_wanted_for_what_waits_and_what_runs_up_to_the_limit(int waiting, int running, int wanted) =>
        Assert.Equal(wanted, OverflowRules.Wanted(new OverflowDemand(waiting, running), slotsPerAgent: 2, mostAgents: 3));

    [Fact]
    public void Failed_starts_are_repeated_later_and_later()
    {
        var options = new OverflowOptions { StartPauseSeconds = 2, StartPauseMaxSeconds = 15 };

        Assert.Equal([0, 2, 4, 8, 15, 15], Enumerable.Range(0, 6).Select(failures => OverflowRules.StartPause(failures, options).TotalSeconds));
        Assert.Equal(15, OverflowRules.StartPause(int.MaxValue, options).TotalSeconds);
    }
}
