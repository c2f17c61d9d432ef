using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Tests;

public sealed class FailureRuleTests
{
    [Theory]
    [InlineData(1, true, false, AfterFailure.RetryElsewhere)]
    [InlineData(1, true, true, AfterFailure.RetryElsewhere)]
    [InlineData(1, false, false, AfterFailure.Refund)]
    [InlineData(1, false, true, AfterFailure.Overflow)]
    [InlineData(2, true, false, AfterFailure.Refund)]
    [InlineData(2, true, true, AfterFailure.Overflow)]
    [InlineData(2, false, false, AfterFailure.Refund)]
    [InlineData(3, true, true, AfterFailure.Overflow)]
    internal void A_unit_goes_to_a_second_node_then_to_overflow_if_allowed_then_back_to_its_creator(
        int failedNodes, bool another, bool overflow, AfterFailure expected) =>
        Assert.Equal(expected, FailureRules.Decide(Failure(failedNodes, another, overflow)));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_failure_on_an_overflow_node_is_the_last_one(bool another) =>
        Assert.Equal(AfterFailure.Refund, FailureRules.Decide(Failure(1, another, overflow: true) with { Lane = UnitLane.Overflow }));

    [Theory]
    [InlineData(UnitLane.Fleet)]
    [InlineData(UnitLane.Overflow)]
    internal void A_lost_node_says_nothing_about_the_unit(UnitLane lane) =>
        Assert.Equal(AfterFailure.RetryElsewhere, FailureRules.Decide(Failure(0, another: false, overflow: false) with { FailureClass = UnitFailure.NodeLost, Lane = lane }));

    [Fact]
    public void The_cause_says_what_failed_and_where_it_had_failed_before()
    {
        Assert.Equal("out of memory. No other node can run it.", FailureRules.Cause(Failure(1, another: false, overflow: false)));
        Assert.Equal("out of memory. It had failed on another node before.", FailureRules.Cause(Failure(2, another: true, overflow: false)));
        Assert.Contains("overflow node", FailureRules.Cause(Failure(1, another: true, overflow: true) with { Lane = UnitLane.Overflow }), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(UnitLane.Fleet)]
    [InlineData(UnitLane.Overflow)]
    internal void A_reason_that_is_a_sentence_already_gets_no_second_full_stop(UnitLane lane)
    {
        var failure = Failure(1, another: false, overflow: false) with { Reason = "It broke. ", Lane = lane };

        Assert.All([FailureRules.Cause(failure), FailureRules.CauseOfOurs(failure)], cause => Assert.Matches(@"^It broke\. [A-Z]", cause));
    }

    [Fact]
    public void By_default_a_second_failure_is_the_fleets_last_one_and_ninety_seconds_of_silence_lose_a_node() =>
        Assert.Equal((2, 90), (new SchedulerOptions().FailuresPerUnit, new SchedulerOptions().NodeLostAfterSeconds));

    private static UnitFailure Failure(int failedNodes, bool another, bool overflow) =>
        new(0, AttemptId.New(), 1, "module_failed", "out of memory", failedNodes, FailuresPerUnit: 2, another, overflow);

    [Fact]
    public void Refusals_are_asked_again_later_and_later() =>
        Assert.Equal([2, 10, 50, 60, 60], Enumerable.Range(1, 5).Select(count => FailureRules.RefusalPause(count).TotalSeconds));
}
