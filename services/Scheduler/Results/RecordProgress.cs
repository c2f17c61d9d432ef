using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Events;

namespace RenderTrust.Scheduler.Results;

/// <summary>
/// Progress of running attempts. Lossy by design: only a visible step, at most once a second per attempt, becomes an event,
/// so that a log stays short whatever a node sends.
/// </summary>
internal sealed class RecordProgress(NpgsqlDataSource dataSource, JobEventSignal events, TimeProvider time)
{
    private const double VisibleStep = 0.05;
    private const int MostKept = 10_000;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<AttemptId, (double Progress, long At)> seen = new();

    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/progress", HandleAsync);

    private static async Task<NoContent> HandleAsync(ProgressBatch batch, RecordProgress progress, CancellationToken cancellationToken)
    {
        await progress.RecordAsync(batch, cancellationToken);
        return TypedResults.NoContent();
    }

    private async Task RecordAsync(ProgressBatch progress, CancellationToken cancellationToken)
    {
        var written = false;
        foreach (var report in progress.Reports.Where(IsNews))
        {
            written |= await RecordAsync(report, cancellationToken);
        }

        if (written)
        {
            events.Raise();
        }
    }

    private bool IsNews(UnitProgressReport report)
    {
        if (!double.IsFinite(report.Progress) || report.Progress is < 0 or > 1)
        {
            return false;
        }

        if (seen.TryGetValue(report.AttemptId, out var last) && (report.Progress < last.Progress + VisibleStep || time.GetElapsedTime(last.At) < Pause))
        {
            return false;
        }

        if (seen.Count >= MostKept)
        {
            seen.Clear();
        }

        seen[report.AttemptId] = (report.Progress, time.GetTimestamp());
        return true;
    }

    private async Task<bool> RecordAsync(UnitProgressReport report, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Attempt.LockAsync(connection, report.AttemptId, cancellationToken) is not { } found)
        {
            return false;
        }

        var (job, attempt) = found;
        if (attempt.NodeId != report.NodeId || attempt.FencingToken != report.FencingToken || !attempt.TokenIsCurrent || report.Progress <= (attempt.Progress ?? -1))
        {
            return false;
        }

        await using var batch = new NpgsqlBatch(connection, transaction);
        if (attempt.Status == AttemptStatus.Offered)
        {
            // Its acknowledgement was lost, or is on its way: it runs all the same.
            AttemptTransitions.Acknowledge(batch, job, attempt, now);
        }

        batch.Add("UPDATE attempts SET progress = $2, missing_since = NULL WHERE attempt_id = $1", attempt.AttemptId.Value, report.Progress);
        JobEventLog.Append(batch, job.JobId, JobEventKind.UnitProgress, AttemptTransitions.Body(job, attempt) with { Progress = report.Progress }, now);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
        return true;
    }
}
