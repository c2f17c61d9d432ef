namespace Dapr.Workflow.Worker.Replay;

/// <summary>Whether, and after how long, a failed call is tried again.</summary>
internal static class RetryRules
{
    /// <param name="policy">The bounds.</param>
    /// <param name="attempts">Tries made so far, at least 1.</param>
    /// <param name="firstAttempt">When the first try began.</param>
    /// <param name="now">When the last try failed.</param>
    /// <returns>The wait before the next try; null: give up.</returns>
    public static TimeSpan? Delay(WorkflowRetryPolicy policy, int attempts, DateTime firstAttempt, DateTime now)
    {
        var timeout = policy.RetryTimeout;
        if (attempts >= policy.MaxNumberOfAttempts || (timeout != Timeout.InfiniteTimeSpan && now - firstAttempt >= timeout))
        {
            return null;
        }

        var delayTicks = policy.FirstRetryInterval.Ticks * Math.Pow(policy.BackoffCoefficient, attempts - 1);
        var longest = policy.MaxRetryInterval ?? TimeSpan.FromHours(1);
        return delayTicks < longest.Ticks ? TimeSpan.FromTicks((long)delayTicks) : longest;
    }
}
