using Microsoft.Extensions.Options;
using Npgsql;

namespace RenderTrust.Scheduler.Traces;

/// <summary>Keeps the table of spans bounded, by age and by number. Several replicas may do it at once: each removes what is there.</summary>
internal sealed partial class PruneSpansLoop(NpgsqlDataSource dataSource, IOptions<TraceOptions> options, TimeProvider time, ILogger<PruneSpansLoop> logger) : BackgroundService
{
    // Short transactions: a long one would hold back the tail of job events.
    private const int MostPerDelete = 5_000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                // Replicas that start together would look together for ever; ±10 % spreads them.
                await Task.Delay(TimeSpan.FromMinutes(options.Value.PruneMinutes * (0.9 + (Random.Shared.NextDouble() * 0.2))), time, stoppingToken);
                await PruneAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (NpgsqlException exception)
            {
                LogFailed(logger, exception);
            }
        }
    }

    internal async Task<long> PruneAsync(CancellationToken cancellationToken)
    {
        var removed = 0L;
        while (true)
        {
            await using var command = dataSource.Command(
                """
                DELETE FROM job_spans WHERE position IN (
                    SELECT position FROM job_spans
                    WHERE position <= (SELECT max(position) FROM job_spans) - $1
                        OR position <= coalesce((
                            SELECT max(position) FROM (SELECT position, recorded_at FROM job_spans ORDER BY position LIMIT $3) oldest WHERE recorded_at < $2), 0)
                    ORDER BY position LIMIT $3)
                """,
                options.Value.MostSpans, time.GetUtcNow().AddHours(-options.Value.KeepHours), MostPerDelete);
            var count = await command.ExecuteNonQueryAsync(cancellationToken);
            removed += count;
            if (count < MostPerDelete)
            {
                break;
            }
        }

        if (removed > 0)
        {
            LogRemoved(logger, removed);
        }

        return removed;
    }

    [LoggerMessage(LogLevel.Information, "{Count} old spans of jobs were removed")]
    private static partial void LogRemoved(ILogger logger, long count);

    [LoggerMessage(LogLevel.Warning, "Old spans of jobs could not be removed; the next round tries again")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
