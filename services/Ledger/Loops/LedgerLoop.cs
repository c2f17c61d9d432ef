namespace RenderTrust.Ledger.Loops;

/// <summary>Work that repeats: again at once while there is more, else after a jittered interval, and ever later while it fails.</summary>
internal abstract partial class LedgerLoop(TimeProvider time, ILogger logger) : BackgroundService
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    protected TimeProvider Time => time;

    protected abstract TimeSpan Interval { get; }

    /// <summary>True when there is more to do now.</summary>
    protected abstract Task<bool> RunOnceAsync(CancellationToken cancellationToken);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            var wait = TimeSpan.Zero;
            try
            {
                if (!await RunOnceAsync(stoppingToken))
                {
                    wait = Interval;
                }

                failures = 0;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The database is away or a fault of ours: nothing of the batch has taken effect, so that trying again is safe.
                failures++;
                LogFailed(logger, exception, failures);
                wait = TimeSpan.FromMilliseconds(Math.Min(LongestWait.TotalMilliseconds, 250 * Math.Pow(2, Math.Min(failures, 8))));
            }

            if (wait > TimeSpan.Zero)
            {
                try
                {
                    // Replicas that start together would work together for hours; ±10 % spreads them.
                    await Task.Delay(wait * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, stoppingToken);
                }
                catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
                {
                    return;
                }
            }
        }
    }

    [LoggerMessage(LogLevel.Error, "A pass failed for the {Failures}. time in a row; it is tried again")]
    private static partial void LogFailed(ILogger logger, Exception exception, int failures);
}
