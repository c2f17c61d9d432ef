using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Events;

/// <summary>A position in the log of all jobs. Written <c>xid.position</c>; opaque to callers.</summary>
internal readonly record struct EventCursor(ulong Xid, long Position)
{
    public static bool TryParse(string text, out EventCursor cursor)
    {
        cursor = default;
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        if (dot <= 0
            || !ulong.TryParse(text.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var xid)
            || !long.TryParse(text.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var position))
        {
            return false;
        }

        cursor = new EventCursor(xid, position);
        return true;
    }

    public override string ToString() => $"{Xid}.{Position}";
}

/// <summary>
/// The tail over all jobs, as a long poll. Rows are shown in the order of their transactions' ids and only once no older transaction is open,
/// so nothing can commit behind a reader's cursor.
/// </summary>
internal sealed class TailJobEvents(NpgsqlDataSource dataSource, JobEventSignal signal, TimeProvider time)
{
    private const int MostEvents = 1000;
    private const int LongestWaitSeconds = 60;

    // What is committed but held back by an older transaction appears as soon as that ends, which nothing announces.
    private static readonly TimeSpan HeldBackPause = TimeSpan.FromMilliseconds(4);
    private static readonly TimeSpan LongestHeldBackPause = TimeSpan.FromMilliseconds(64);

    // For what other replicas committed, which nothing announces: the empty look costs a fraction of what a message to every replica would.
    private static readonly TimeSpan PollFloor = TimeSpan.FromMilliseconds(50);

    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/internal/job-events", HandleAsync);

    private static async Task<Results<Ok<JobEventPage>, ProblemHttpResult>> HandleAsync(
        string? cursor, int? limit, int? waitSeconds, TailJobEvents tail, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(cursor))
        {
            return TypedResults.Ok(new JobEventPage([], (await tail.EndAsync(cancellationToken)).ToString()));
        }

        if (!EventCursor.TryParse(cursor, out var after))
        {
            return TypedResults.Problem(
                $"Cursor '{cursor}' is not one of ours. Send the cursor of the last page, or none to begin at the present end.", statusCode: StatusCodes.Status400BadRequest);
        }

        return TypedResults.Ok(await tail.ReadAsync(
            after, Math.Clamp(limit ?? 200, 1, MostEvents), TimeSpan.FromSeconds(Math.Clamp(waitSeconds ?? 0, 0, LongestWaitSeconds)), cancellationToken));
    }

    public async Task<JobEventPage> ReadAsync(EventCursor after, int limit, TimeSpan wait, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var pause = HeldBackPause;
        while (true)
        {
            var next = signal.Next;
            var (page, heldBack) = await ReadOnceAsync(after, limit, cancellationToken);
            var left = wait - time.GetElapsedTime(started);
            if (page.Events.Count > 0 || left <= TimeSpan.Zero)
            {
                return page;
            }

            if (heldBack)
            {
                await Task.Delay(Shorter(pause, left), time, cancellationToken);
                pause = Shorter(pause * 2, LongestHeldBackPause);
                continue;
            }

            pause = HeldBackPause;
            using var limitWait = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(next, Task.Delay(Shorter(PollFloor, left), time, limitWait.Token));
            await limitWait.CancelAsync();
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Where a reader begins that wants only what comes from now on.</summary>
    public async Task<EventCursor> EndAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            """
            SELECT xid, position FROM job_events WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY xid DESC, position DESC LIMIT 1
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new EventCursor(reader.Xid(0), reader.GetInt64(1)) : new EventCursor(0, 0);
    }

    private async Task<(JobEventPage Page, bool HeldBack)> ReadOnceAsync(EventCursor after, int limit, CancellationToken cancellationToken)
    {
        // One statement, one snapshot: rows and the horizon belong together. Held-back rows sort last, so they never hide shown ones.
        await using var command = dataSource.Command(
            """
            SELECT e.xid, e.position, j.task_id, j.client_job_id, j.tenant_id, j.context_id, e.seq, e.kind, e.at, e.body::text,
                e.xid < pg_snapshot_xmin(pg_current_snapshot())
            FROM job_events e JOIN jobs j USING (job_id)
            WHERE (e.xid, e.position) > ($1, $2)
            ORDER BY e.xid, e.position LIMIT $3
            """,
            new TypedValue(after.Xid, NpgsqlTypes.NpgsqlDbType.Xid8), after.Position, limit);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var events = new List<JobEvent>();
        var cursor = after;
        while (await reader.ReadAsync(cancellationToken))
        {
            if (!reader.GetBoolean(10))
            {
                return (new JobEventPage(events, cursor.ToString()), true);
            }

            cursor = new EventCursor(reader.Xid(0), reader.GetInt64(1));
            events.Add(new JobEvent(
                new(reader.GetGuid(2)), new(reader.GetGuid(3)), new(reader.GetGuid(4)), reader.GetString(5), reader.GetInt64(6),
                JobLog.KindOf(reader.GetString(7)), reader.Instant(8), reader.Json<JobEventBody>(9)!));
        }

        return (new JobEventPage(events, cursor.ToString()), false);
    }

    private static TimeSpan Shorter(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
