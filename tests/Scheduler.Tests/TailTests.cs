using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Tests;

public sealed class TailTests(WorldFixture fixture) : IClassFixture<WorldFixture>
{
    private readonly SchedulerWorld world = fixture.World;

    [Fact]
    public async Task No_event_is_missed_or_shown_twice_while_transactions_commit_in_any_order()
    {
        const int writers = 8;
        const int rounds = 60;
        var creator = await world.CreatorAsync();
        var jobs = new List<JobId>();
        for (var writer = 0; writer < writers; writer++)
        {
            var spec = SchedulerWorld.Spec([Absent()]);
            await world.AcceptedAsync(creator, spec);
            jobs.Add(spec.JobId);
        }

        var cursor = (await PageAsync("")).Cursor;
        var done = 0;
        var writing = jobs.Select((job, number) => Task.Run(async () =>
        {
            var random = new Random(number);
            for (var round = 0; round < rounds; round++)
            {
                // Takes its transaction id early and commits late, so that younger transactions overtake it.
                await using var connection = await world.Db.OpenConnectionAsync();
                await using var transaction = await connection.BeginTransactionAsync();
                await using (var id = new NpgsqlCommand("SELECT pg_current_xact_id()", connection))
                {
                    await id.ExecuteScalarAsync();
                }

                await Task.Delay(random.Next(4));
                await using (var insert = new NpgsqlCommand(
                    """
                    WITH job AS (UPDATE jobs SET last_seq = last_seq + 1 WHERE job_id = public.key_of($1) RETURNING last_seq)
                    INSERT INTO job_events (job_id, seq, kind, at, body) SELECT public.key_of($1), last_seq, 'unitProgress', now(), '{}' FROM job
                    """, connection))
                {
                    insert.Parameters.Add(new() { Value = job.Value });
                    await insert.ExecuteNonQueryAsync();
                }

                await Task.Delay(random.Next(4));
                await (random.Next(5) == 0 ? transaction.RollbackAsync() : transaction.CommitAsync());
            }

            Interlocked.Increment(ref done);
        })).ToList();

        var seen = new ConcurrentDictionary<JobId, List<long>>();
        while (true)
        {
            var all = Volatile.Read(ref done) == writers;
            var page = await PageAsync(cursor, limit: 7, wait: 1);
            cursor = page.Cursor;
            foreach (var item in page.Events.Where(item => jobs.Contains(item.JobId) && item.Kind == JobEventKind.UnitProgress))
            {
                seen.GetOrAdd(item.JobId, _ => []).Add(item.Seq);
            }

            if (all && page.Events.Count == 0)
            {
                break;
            }
        }

        await Task.WhenAll(writing);
        foreach (var job in jobs)
        {
            var stored = await SeqsAsync(job);
            Assert.Equal(stored, seen[job]);
            Assert.Equal(Enumerable.Range((int)stored[0], stored.Count).Select(seq => (long)seq), stored);
        }
    }

    [Fact]
    public async Task What_an_older_open_transaction_holds_back_is_shown_as_soon_as_that_ends()
    {
        var creator = await world.CreatorAsync();
        var cursor = (await PageAsync("")).Cursor;
        await using var connection = await world.Db.OpenConnectionAsync();
        await using var older = await connection.BeginTransactionAsync();
        await using (var id = new NpgsqlCommand("SELECT pg_current_xact_id()", connection))
        {
            await id.ExecuteScalarAsync();
        }

        var spec = SchedulerWorld.Spec([Absent()]);
        await world.AcceptedAsync(creator, spec);
        Assert.DoesNotContain((await PageAsync(cursor)).Events, item => item.JobId == spec.JobId);
        var waiting = PageAsync(cursor, wait: 30);
        await older.RollbackAsync();

        Assert.Contains((await waiting).Events, item => item.JobId == spec.JobId);
    }

    [Fact]
    public async Task A_waiting_reader_is_answered_by_the_commit()
    {
        var creator = await world.CreatorAsync();
        var cursor = (await PageAsync("")).Cursor;
        var waiting = PageAsync(cursor, wait: 30);
        var spec = SchedulerWorld.Spec([Absent()]);
        var submitted = await world.AcceptedAsync(creator, spec);

        var first = (await waiting).Events[0];

        Assert.Equal((submitted.TaskId!.Value, spec.JobId, creator, "context", 1L, JobEventKind.Submitted), (first.TaskId, first.JobId, first.TenantId, first.ContextId, first.Seq, first.Kind));
    }

    [Fact]
    public async Task A_reader_without_a_cursor_begins_at_the_present_end()
    {
        var spec = SchedulerWorld.Spec([Absent()]);
        await world.AcceptedAsync(await world.CreatorAsync(), spec);
        await SchedulerWorld.UntilAsync("the event to be shown", () => PageAsync("0.0", limit: 1000), page => page.Events.Any(item => item.JobId == spec.JobId));

        var page = await PageAsync("");

        Assert.Empty(page.Events);
        Assert.Empty((await PageAsync(page.Cursor)).Events);
    }

    [Theory]
    [InlineData("x")]
    [InlineData("1")]
    [InlineData("1.")]
    [InlineData("-1.2")]
    [InlineData("1.2.3")]
    [InlineData("99999999999999999999999.1")]
    public async Task A_cursor_that_is_not_ours_is_the_callers_mistake(string cursor)
    {
        using var response = await world.SendAsync(HttpMethod.Get, $"/internal/job-events?cursor={cursor}");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    private static TestNode Absent() => new(NodeId.New(), TenantId.New(), "absent", $"absent-{Guid.CreateVersion7()}", "hub-1", 0, []);

    private async Task<JobEventPage> PageAsync(string cursor, int limit = 200, int wait = 0)
    {
        using var response = await world.SendAsync(HttpMethod.Get, $"/internal/job-events?cursor={cursor}&limit={limit}&waitSeconds={wait}");
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<JobEventPage>(WireJson.Options))!;
    }

    private async Task<List<long>> SeqsAsync(JobId jobId)
    {
        await using var command = world.Admin.CreateCommand("SELECT seq FROM scheduler.job_events WHERE job_id = public.key_of($1) AND kind = 'unitProgress' ORDER BY seq");
        command.Parameters.Add(new() { Value = jobId.Value });
        await using var reader = await command.ExecuteReaderAsync();
        var seqs = new List<long>();
        while (await reader.ReadAsync())
        {
            seqs.Add(reader.GetInt64(0));
        }

        return seqs;
    }
}
