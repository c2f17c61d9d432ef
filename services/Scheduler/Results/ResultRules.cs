using RenderTrust.Contracts;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Results;

internal static class ResultRules
{
    /// <summary>Null when the result is to be taken; else why not, in the documented order.</summary>
    public static UnitResultResponse? Refuse(UnitResultReport report, Job job, Attempt attempt)
    {
        if (attempt.NodeId != report.NodeId)
        {
            // Another node's attempt looks like none.
            return Unknown(report);
        }

        if (attempt.FencingToken == report.FencingToken && attempt.Status is AttemptStatus.Completed or AttemptStatus.Failed)
        {
            return new UnitResultResponse(ResultOutcome.AlreadyAccepted, null);
        }

        if (attempt.FencingToken != report.FencingToken)
        {
            return new UnitResultResponse(ResultOutcome.StaleToken, $"Token {report.FencingToken} is not that of attempt {report.AttemptId} ({attempt.FencingToken}).");
        }

        if (job.HasEnded)
        {
            return new UnitResultResponse(ResultOutcome.JobEnded, $"The job has ended as {SqlNames.Of(job.Status)}: {job.Reason}");
        }

        return attempt.TokenIsCurrent
            ? null
            : new UnitResultResponse(ResultOutcome.StaleToken, $"The lease of attempt {report.AttemptId} was taken back ({SqlNames.Of(attempt.Status)}); its unit may run elsewhere.");
    }

    public static UnitResultResponse Unknown(UnitResultReport report) =>
        new(ResultOutcome.UnknownAttempt, $"There is no attempt {report.AttemptId} of this node.");

    /// <summary>What may be charged: what the node says, but never more than it can have taken by our clock, nor more than the creator allowed.</summary>
    public static long Metered(long reportedMilliseconds, TimeSpan leaseWallTime, int maxUnitDeviceSeconds) =>
        Math.Max(0, Math.Min(reportedMilliseconds, Math.Min((long)leaseWallTime.TotalMilliseconds, maxUnitDeviceSeconds * 1000L)));
}
