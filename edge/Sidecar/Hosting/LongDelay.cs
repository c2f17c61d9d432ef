namespace RenderTrust.Sidecar.Hosting;

/// <summary>Waits that may be longer than the timer's 49 days: a yearly schedule, a reminder for the year after next.</summary>
internal static class LongDelay
{
    private static readonly TimeSpan StepMax = TimeSpan.FromDays(1);

    public static async Task DelayUntilAsync(this TimeProvider time, DateTimeOffset moment, CancellationToken cancellationToken)
    {
        while (moment - time.GetUtcNow() is var left && left > TimeSpan.Zero)
        {
            await Task.Delay(left < StepMax ? left : StepMax, time, cancellationToken);
        }
    }
}
