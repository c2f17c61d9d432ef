using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// Starts sagas and tells them what they have to hear, at least once. A signal stays in its table until the saga's step has had its effect, and is
/// handed over again when that takes too long: neither this process nor the engine can lose one. Few are under way per job, so a saga's
/// history stays small whatever happens to its units. One replica at a time relays; an advisory lock of the session decides.
/// </summary>
internal sealed partial class RelaySagaSignalsLoop(
    NpgsqlDataSource dataSource, IJobSagaEngine engine, SagaWake wake, TimeProvider time,
    IOptions<SchedulerOptions> scheduler, IOptions<SagaOptions> options, ILogger<RelaySagaSignalsLoop> logger) : BackgroundService
{
    private const string Turn = "sagas";
    private const int MostJobsPerRound = 100;
    private const int MostUnderWayPerJob = 25;
    private const int SideBySide = 8;
    private static readonly TimeSpan PauseOfOne = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromSeconds(15);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await RoundAsync(stoppingToken))
                {
                    failures = 0;
                }

                failures = 0;
                await WaitAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception)
            {
                // The engine or the database is away: every signal stays due. Deaf to wakes, which a busy service would turn into a storm.
                LogRoundFailed(logger, exception, ++failures);
                var pause = TimeSpan.FromMilliseconds(Math.Min(LongestBackoff.TotalMilliseconds, 250 * Math.Pow(2, Math.Min(failures, 8))));
                await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <returns>True when something was handed over: there may be more.</returns>
    internal async Task<bool> RoundAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);

        // No transaction stays open while the engine is asked: it would hold back the tail of job events.
        await SessionLock.TakeAsync(connection, Turn, cancellationToken);
        try
        {
            var due = await ReadDueAsync(connection, cancellationToken);
            await Parallel.ForEachAsync(
                due, new ParallelOptions { MaxDegreeOfParallelism = SideBySide, CancellationToken = cancellationToken },
                async (job, token) => await TryHandOverAsync(job, token));
            return due.Count > 0;
        }
        finally
        {
            await SessionLock.GiveAsync(connection, Turn);
        }
    }

    private async Task TryHandOverAsync(DueJob job, CancellationToken cancellationToken)
    {
        try
        {
            await HandOverAsync(job, cancellationToken);
        }
        catch (Exception exception) when (exception is not (SagaEngineUnavailableException or NpgsqlException or OperationCanceledException))
        {
            // This saga's own trouble, which must not keep the others waiting.
            LogNotHandedOver(logger, exception, job.JobId);
            await using var batch = dataSource.CreateBatch();
            var later = time.GetUtcNow() + PauseOfOne;
            batch.Add("UPDATE sagas SET start_at = $2 WHERE job_id = $1 AND started_at IS NULL", job.JobId.Value, later);
            batch.Add("UPDATE saga_signals SET due_at = $2 WHERE signal_id = ANY ($1)", job.Signals.Select(signal => signal.SignalId).ToArray(), later);
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    private async Task HandOverAsync(DueJob job, CancellationToken cancellationToken)
    {
        // The engine may have it although we never learnt that: then it gets the signals one by one.
        if (job.Started || !await engine.StartAsync(new JobSagaState(job.JobId, job.Signals), cancellationToken))
        {
            foreach (var signal in job.Signals)
            {
                if (!await engine.RaiseAsync(job.JobId, signal, cancellationToken))
                {
                    LogStartedAgain(logger, job.JobId);
                    await engine.StartAsync(new JobSagaState(job.JobId, job.Signals), cancellationToken);
                    break;
                }
            }
        }

        Failpoint.Hit("saga.handover.afterTelling");
        await using var batch = dataSource.CreateBatch();
        var now = time.GetUtcNow();
        if (!job.Started)
        {
            batch.Add("UPDATE sagas SET started_at = $2 WHERE job_id = $1 AND started_at IS NULL", job.JobId.Value, now);
        }

        batch.Add(
            "UPDATE saga_signals SET due_at = $2 WHERE signal_id = ANY ($1)",
            job.Signals.Select(signal => signal.SignalId).ToArray(), now.AddSeconds(options.Value.RedeliverSeconds));
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<List<DueJob>> ReadDueAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // The first few of each job, due or under way: the next ones follow when these have had their effect. An end goes before everything.
        await using var command = connection.Command(
            $"""
            WITH due AS (
                (SELECT job_id FROM sagas WHERE started_at IS NULL AND start_at <= $1 AND done_at IS NULL AND parked_at IS NULL ORDER BY start_at LIMIT {MostJobsPerRound})
                UNION
                (SELECT s.job_id FROM sagas s WHERE s.done_at IS NULL AND s.parked_at IS NULL
                    AND s.job_id IN (SELECT g.job_id FROM saga_signals g WHERE g.due_at <= $1) LIMIT {MostJobsPerRound}))
            SELECT s.job_id, s.started_at IS NOT NULL, g.signal_id, g.kind, g.body
            FROM due JOIN sagas s USING (job_id)
            LEFT JOIN LATERAL (
                SELECT w.signal_id, w.kind, w.body::text AS body, w.position, w.due_at FROM saga_signals w WHERE w.job_id = s.job_id
                ORDER BY w.kind = 'unitFailed', w.position LIMIT {MostUnderWayPerJob}) g ON g.due_at <= $1
            WHERE g.signal_id IS NOT NULL OR s.started_at IS NULL
            ORDER BY s.start_at, s.job_id, g.kind = 'unitFailed', g.position
            """,
            time.GetUtcNow());
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var jobs = new List<DueJob>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var jobId = new JobId(reader.GetGuid(0));
            if (jobs.Count == 0 || jobs[^1].JobId != jobId)
            {
                jobs.Add(new DueJob(jobId, reader.GetBoolean(1), []));
            }

            if (reader.Text(2) is { } signalId)
            {
                var kind = SqlNames.Parse<SagaSignalKind>(reader.GetString(3));
                jobs[^1].Signals.Add(new SagaSignal(signalId, kind, kind == SagaSignalKind.UnitFailed ? reader.Json<UnitFailure>(4) : null));
            }
        }

        return jobs;
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(scheduler.Value.Poll * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, limit.Token);
        await Task.WhenAny(delay, wake.Signals.ReadAsync(limit.Token).AsTask());
        await limit.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private sealed record DueJob(JobId JobId, bool Started, List<SagaSignal> Signals);

    [LoggerMessage(LogLevel.Warning, "Handing signals to sagas failed for the {Failures}. time; they stay and are handed over again")]
    private static partial void LogRoundFailed(ILogger logger, Exception exception, int failures);

    [LoggerMessage(LogLevel.Error, "The saga of job {JobId} could not be told its signals; they are handed over again later")]
    private static partial void LogNotHandedOver(ILogger logger, Exception exception, JobId jobId);

    [LoggerMessage(LogLevel.Warning, "The engine did not know the saga of job {JobId} any more; it was started again")]
    private static partial void LogStartedAgain(ILogger logger, JobId jobId);
}
