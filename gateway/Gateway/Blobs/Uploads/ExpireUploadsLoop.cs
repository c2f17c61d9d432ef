using Microsoft.Extensions.Options;

namespace RenderTrust.Gateway.Blobs;

/// <summary>Discards uploads that nobody finished, and files that crashes left behind.</summary>
internal sealed partial class ExpireUploadsLoop(UploadSessions sessions, FileBlobStore store, IOptions<BlobOptions> options, TimeProvider time, ILogger<ExpireUploadsLoop> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var removed = await sessions.SweepAsync(stoppingToken) + store.RemoveLeftovers(time.GetUtcNow().AddHours(-options.Value.UploadExpiryHours));
                if (removed > 0)
                {
                    LogRemoved(logger, removed);
                }
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // The database or the disk is away: the next round finds the same files again.
                LogFailed(logger, exception);
            }

            // Replicas that start together would sweep together for ever; ±10 % spreads them.
            await Task.Delay(TimeSpan.FromMinutes(options.Value.SweepMinutes * (0.9 + (Random.Shared.NextDouble() * 0.2))), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(LogLevel.Information, "Removed {Files} files of uploads that expired or were left behind")]
    private static partial void LogRemoved(ILogger logger, int files);

    [LoggerMessage(LogLevel.Warning, "Sweeping uploads failed; the next round tries again")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
