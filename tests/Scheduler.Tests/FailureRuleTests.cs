using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Tests;

public sealed class FailureRuleTests
{
    [Theory]
    [InlineData(1, true, AfterFailure.RetryElsewhere)]
    [InlineData(1, false, AfterFailure.FailUnit)]
    [InlineData(2, true, AfterFailure.FailUnit)]
    [InlineData(2, false, AfterFailure.FailUnit)]
    internal void A_unit_fails_on_the_second_node_or_when_no_other_is_left(int failedNodes, bool another, AfterFailure expected) =>
        Assert.Equal(expected, FailureRules.Decide(failedNodes, another, failuresPerUnit: 2));

    [Fact]
    public void Refusals_are_asked_again_later_and_later() =>
        Assert.Equal([2, 10, 50, 60, 60], Enumerable.Range(1, 5).Select(count => FailureRules.RefusalPause(count).TotalSeconds));
}
