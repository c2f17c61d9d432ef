using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>Takes finished sagas out of the engine once nobody wants to look at their histories any more. Safe to run on several replicas.</summary>
internal sealed partial class ForgetSagasLoop(
    NpgsqlDataSource dataSource, IJobSagaEngine engine, TimeProvider time, IOptions<SagaOptions> options, ILogger<ForgetSagasLoop> logger) : BackgroundService
{
    private const int MostPerRound = 200;
    private const int SideBySide = 2;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(30);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await RoundAsync(stoppingToken) == MostPerRound)
                {
                    // More are due.
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception)
            {
                // The engine or the database is away: what was due stays due.
                LogRoundFailed(logger, exception);
            }

            await Task.Delay(Pause * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>How many were forgotten.</returns>
    internal async Task<int> RoundAsync(CancellationToken cancellationToken)
    {
        var due = new List<Guid>();
        await using (var find = dataSource.Command(
            "SELECT job_id FROM sagas WHERE done_at <= $1 ORDER BY done_at LIMIT $2", time.GetUtcNow().AddSeconds(-options.Value.RetentionSeconds), MostPerRound))
        await using (var reader = await find.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                due.Add(reader.GetGuid(0));
            }
        }

        await Parallel.ForEachAsync(
            due, new ParallelOptions { MaxDegreeOfParallelism = SideBySide, CancellationToken = cancellationToken },
            async (jobId, token) => await engine.ForgetAsync(new JobId(jobId), token));
        await using var delete = dataSource.Command("DELETE FROM sagas WHERE job_id = ANY ($1)", due.ToArray());
        return await delete.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "Forgetting finished sagas failed; the next round goes on")]
    private static partial void LogRoundFailed(ILogger logger, Exception exception);
}
