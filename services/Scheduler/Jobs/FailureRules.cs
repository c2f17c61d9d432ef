using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Which nodes a unit waits for: the fleet, or overflow nodes only.</summary>
internal enum UnitLane
{
    Fleet,
    Overflow,
}

/// <summary>
/// What is known of a failure at the moment it is recorded. All that the decision needs is in here, so that it comes out the same whenever,
/// and however often, it is made.
/// </summary>
/// <param name="AttemptNumber">Counts from 1 within the unit.</param>
/// <param name="FailedNodes">Different nodes on which this unit has failed, this time included; a lost node is no failure of the unit.</param>
/// <param name="FailuresPerUnit">Failures on different nodes that the fleet may have, as configured then.</param>
/// <param name="AnotherNodeCouldRun">Whether any other known node could ever run it.</param>
/// <param name="OverflowAllowed">The creator allowed overflow and sealed the job to an overflow node's key.</param>
internal sealed record UnitFailure(
    int UnitIndex, AttemptId AttemptId, int AttemptNumber, string FailureClass, string Reason,
    int FailedNodes, int FailuresPerUnit, bool AnotherNodeCouldRun, bool OverflowAllowed = false, UnitLane Lane = UnitLane.Fleet)
{
    /// <summary>The node fell silent: it tells nothing about the unit.</summary>
    public const string NodeLost = "node_lost";
}

/// <summary>What becomes of a unit whose attempt failed or was lost.</summary>
internal enum AfterFailure
{
    RetryElsewhere,
    Overflow,
    Refund,
}

internal static class FailureRules
{
    public static AfterFailure Decide(UnitFailure failure)
    {
        if (failure.FailureClass == UnitFailure.NodeLost)
        {
            return AfterFailure.RetryElsewhere;
        }

        if (failure.Lane == UnitLane.Overflow)
        {
            return AfterFailure.Refund;
        }

        return failure.FailedNodes < failure.FailuresPerUnit && failure.AnotherNodeCouldRun ? AfterFailure.RetryElsewhere
            : failure.OverflowAllowed ? AfterFailure.Overflow
            : AfterFailure.Refund;
    }

    /// <summary>Why the job fails with this unit, for its creator.</summary>
    public static string Cause(UnitFailure failure) =>
        failure.Lane == UnitLane.Overflow ? $"{Sentence(failure.Reason)} It had failed on the fleet before, and now on an overflow node."
        : failure.FailedNodes > 1 ? $"{Sentence(failure.Reason)} It had failed on another node before."
        : $"{Sentence(failure.Reason)} No other node can run it.";

    /// <summary>Why the job fails although another node might have run the unit: our own fault, and what the creator can do.</summary>
    public static string CauseOfOurs(UnitFailure failure) =>
        $"{Sentence(failure.Reason)} The platform could not place it again. Completed units are kept; submit the others as a new job.";

    /// <summary>A node that refuses is asked again later and later: it may only be busy with cleaning up.</summary>
    public static TimeSpan RefusalPause(int refusals) => TimeSpan.FromSeconds(Math.Min(60, 2 * Math.Pow(5, Math.Max(0, refusals - 1))));

    /// <summary>What nodes say are whole sentences, what we say of them ourselves need not be.</summary>
    private static string Sentence(string reason) => reason.TrimEnd() is var text && text.EndsWith('.') ? text : $"{text}.";
}
