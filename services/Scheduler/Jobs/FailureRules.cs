namespace RenderTrust.Scheduler.Jobs;

/// <summary>What follows when an attempt failed by its node's own account.</summary>
internal enum AfterFailure
{
    RetryElsewhere,
    FailUnit,
}

internal static class FailureRules
{
    /// <param name="failedNodes">Different nodes on which this unit has failed, this time included.</param>
    /// <param name="anotherNodeCouldRun">Whether any other known node could ever run it.</param>
    public static AfterFailure Decide(int failedNodes, bool anotherNodeCouldRun, int failuresPerUnit) =>
        failedNodes >= failuresPerUnit || !anotherNodeCouldRun ? AfterFailure.FailUnit : AfterFailure.RetryElsewhere;

    /// <summary>A node that refuses is asked again later and later: it may only be busy with cleaning up.</summary>
    public static TimeSpan RefusalPause(int refusals) => TimeSpan.FromSeconds(Math.Min(60, 2 * Math.Pow(5, Math.Max(0, refusals - 1))));
}
