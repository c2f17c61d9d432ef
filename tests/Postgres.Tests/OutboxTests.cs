using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using RenderTrust.TestKit;

namespace RenderTrust.Postgres.Tests;

public sealed class OutboxTests(OutboxTests.Fixture database) : IClassFixture<OutboxTests.Fixture>, IAsyncLifetime
{
    private readonly ConcurrentQueue<(string Topic, Guid Id)> published = new();
    private NpgsqlDataSource source = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public sealed class Fixture : TestDatabase
    {
        public override async ValueTask InitializeAsync()
        {
            await base.InitializeAsync();
            await using var source = NpgsqlDataSource.Create(ConnectionStringFor("audit"));
            await using var command = source.CreateCommand(Outbox.TableSql + "CREATE TABLE effects (message_id uuid NOT NULL)");
            await command.ExecuteNonQueryAsync();
        }
    }

    public async ValueTask InitializeAsync()
    {
        source = database.DataSourceFor("audit");
        await using var command = source.CreateCommand("TRUNCATE outbox, inbox, effects");
        await command.ExecuteNonQueryAsync();
    }

    public ValueTask DisposeAsync() => source.DisposeAsync();

    [Fact]
    public async Task Messages_leave_in_order_and_once_when_nothing_fails()
    {
        var ids = await AddAsync("usage", 250);

        await using var loop = await StartAsync(RecordAsync);
        await UntilEmptyAsync();

        Assert.Equal(ids, published.Select(message => message.Id));
    }

    [Fact]
    public async Task A_message_is_published_under_the_trace_that_it_was_written_in()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = heard => heard.Name == "RenderTrust", Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        using (var cause = new Activity("cause"))
        {
            cause.SetParentId("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
            cause.TraceStateString = "rendertrust=whose";
            cause.Start();
            await AddAsync("usage", 1);
        }

        await AddAsync("usage", 1);
        var seen = new ConcurrentQueue<(string? TraceId, string? State)>();
        await using var loop = await StartAsync((_, _, _, _, _) =>
        {
            seen.Enqueue((Activity.Current?.TraceId.ToHexString(), Activity.Current?.TraceStateString));
            return Task.CompletedTask;
        });
        await UntilEmptyAsync();

        Assert.Equal([("0af7651916cd43dd8448eb211c80319c", "rendertrust=whose"), (null, null)], seen);
    }

    [Fact]
    public async Task A_message_of_a_transaction_that_rolled_back_never_leaves()
    {
        await using (var connection = await source.OpenConnectionAsync(Cancellation))
        await using (var transaction = await connection.BeginTransactionAsync(Cancellation))
        {
            await Outbox.AddAsync(transaction, Guid.CreateVersion7(), "pubsub", "usage", "{}", Cancellation);
            await transaction.RollbackAsync(Cancellation);
        }

        var kept = await AddAsync("usage", 1);
        await using var loop = await StartAsync(RecordAsync);
        await UntilEmptyAsync();

        Assert.Equal(kept, published.Select(message => message.Id));
    }

    [Fact]
    public async Task A_wake_publishes_without_waiting_for_the_poll()
    {
        // A poll that never comes: time stands still.
        var outbox = new Outbox();
        await using var loop = await StartAsync(RecordAsync, outbox, new StandingTime());

        for (var round = 0; round < 50; round++)
        {
            var ids = await AddAsync("usage", 1);
            outbox.Wake();
            await UntilAsync(() => published.Any(message => message.Id == ids[0]), "the message of this round");
        }
    }

    [Fact]
    public async Task A_topic_that_the_broker_refuses_does_not_hold_up_the_others_and_keeps_its_order()
    {
        var broken = true;
        var stuck = await AddAsync("overflow", 120);
        var others = await AddAsync("usage", 120);

        await using var loop = await StartAsync(async (component, topic, id, payload, token) =>
        {
            if (topic == "overflow" && Volatile.Read(ref broken))
            {
                throw new InvalidOperationException("no such topic");
            }

            await RecordAsync(component, topic, id, payload, token);
        });
        await UntilAsync(() => published.Count == others.Length, "the other topic");
        Assert.Equal(others, published.Select(message => message.Id));
        Volatile.Write(ref broken, false);
        await UntilEmptyAsync();

        Assert.Equal(stuck, published.Where(message => message.Topic == "overflow").Select(message => message.Id));
        Assert.Equal(others.Length + stuck.Length, published.Count);
    }

    [Fact]
    public async Task What_was_sent_before_a_failure_is_not_sent_again()
    {
        var ids = await AddAsync("usage", 10);
        var failed = false;

        await using var loop = await StartAsync(async (component, topic, id, payload, token) =>
        {
            if (id == ids[5] && !failed)
            {
                failed = true;
                throw new InvalidOperationException("broker away");
            }

            await RecordAsync(component, topic, id, payload, token);
        });
        await UntilEmptyAsync();

        Assert.Equal(ids, published.Select(message => message.Id));
    }

    [Fact]
    public async Task Every_message_arrives_though_publishers_are_killed_and_the_inbox_makes_it_once()
    {
        var ids = await AddAsync("usage", 400);
        await using var admin = database.Admin();
        async Task ConsumeAsync(string component, string topic, Guid id, string payload, CancellationToken token)
        {
            await using var connection = await source.OpenConnectionAsync(token);
            await using var transaction = await connection.BeginTransactionAsync(token);
            if (await Inbox.TryRecordAsync(transaction, id, token))
            {
                // The effect is a row of the same transaction, as a consumer's is.
                await using var effect = new NpgsqlCommand("INSERT INTO effects VALUES ($1)", connection, transaction) { Parameters = { new() { Value = id } } };
                await effect.ExecuteNonQueryAsync(token);
            }

            await transaction.CommitAsync(token);
            published.Enqueue((topic, id));
        }

        // The publisher dies between two messages, again and again, and a new one starts as after a crash.
        await using var publisherSource = NpgsqlDataSource.Create(database.ConnectionStringFor("audit") + ";Application Name=publisher");
        var kills = 0L;
        while (kills < 5)
        {
            var before = published.Count;
            await using var loop = await StartAsync(ConsumeAsync, from: publisherSource);
            await UntilAsync(() => published.Count > before + 20, "some messages of this publisher");
            await using var kill = admin.CreateCommand(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'publisher' AND datname = current_database()");
            kills += (long)(await kill.ExecuteScalarAsync(Cancellation))!;
        }

        await using var last = await StartAsync(ConsumeAsync);
        await UntilEmptyAsync();

        Assert.True(published.Count > ids.Length, "At least one message was sent twice, or no publisher died in the middle.");
        await using var read = source.CreateCommand("SELECT array_agg(message_id ORDER BY message_id) FROM effects");
        Assert.Equal(ids.Order(), ((Guid[])(await read.ExecuteScalarAsync(Cancellation))!).Order());
    }

    [Fact]
    public async Task Replicas_share_the_work_without_sending_anything_twice()
    {
        var ids = await AddAsync("usage", 300);

        await using var one = await StartAsync(RecordAsync);
        await using var two = await StartAsync(RecordAsync);
        await using var three = await StartAsync(RecordAsync);
        await UntilEmptyAsync();

        Assert.Equal(ids, published.Select(message => message.Id));
    }

    [Fact]
    public async Task The_inbox_knows_a_message_again_and_forgets_one_that_rolled_back()
    {
        var id = Guid.CreateVersion7();

        Assert.True(await RecordInboxAsync(id, commit: false));
        Assert.True(await RecordInboxAsync(id, commit: true));
        Assert.False(await RecordInboxAsync(id, commit: true));
    }

    [Fact]
    public async Task The_loop_holds_no_transaction_id_while_the_broker_is_asked()
    {
        await AddAsync("usage", 1);
        var asked = new TaskCompletionSource();
        var answer = new TaskCompletionSource();

        await using var loop = await StartAsync(async (_, _, _, _, token) =>
        {
            asked.TrySetResult();
            await answer.Task.WaitAsync(token);
        });
        await asked.Task.WaitAsync(Cancellation);
        await using var admin = database.Admin();
        await using var command = admin.CreateCommand(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'rendertrust_audit' AND (backend_xid IS NOT NULL OR state LIKE 'idle in transaction%')");
        var open = (long)(await command.ExecuteScalarAsync(Cancellation))!;
        answer.SetResult();

        Assert.Equal(0, open);
    }

    private async Task<bool> RecordInboxAsync(Guid id, bool commit)
    {
        await using var connection = await source.OpenConnectionAsync(Cancellation);
        await using var transaction = await connection.BeginTransactionAsync(Cancellation);
        var recorded = await Inbox.TryRecordAsync(transaction, id, Cancellation);
        await (commit ? transaction.CommitAsync(Cancellation) : transaction.RollbackAsync(Cancellation));
        return recorded;
    }

    private Task RecordAsync(string component, string topic, Guid id, string payload, CancellationToken cancellationToken)
    {
        published.Enqueue((topic, id));
        return Task.CompletedTask;
    }

    private async Task<Guid[]> AddAsync(string topic, int count)
    {
        var ids = Enumerable.Range(0, count).Select(_ => Guid.CreateVersion7()).ToArray();
        await using var connection = await source.OpenConnectionAsync(Cancellation);
        await using var transaction = await connection.BeginTransactionAsync(Cancellation);
        foreach (var id in ids)
        {
            await Outbox.AddAsync(transaction, id, "pubsub", topic, """{"fact":1}""", Cancellation);
        }

        await transaction.CommitAsync(Cancellation);
        return ids;
    }

    private async Task<Running> StartAsync(OutboxPublish publish, Outbox? outbox = null, TimeProvider? time = null, NpgsqlDataSource? from = null)
    {
        var loop = new PublishOutboxLoop(from ?? source, outbox ?? new Outbox(), publish, time ?? TimeProvider.System, NullLogger<PublishOutboxLoop>.Instance);
        await loop.StartAsync(CancellationToken.None);
        return new Running(loop);
    }

    private Task UntilEmptyAsync() => UntilAsync(async () => await CountAsync() == 0, "an empty outbox");

    private async Task<long> CountAsync()
    {
        await using var command = source.CreateCommand("SELECT count(*) FROM outbox");
        return (long)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), what);

    private async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var deadline = DateTime.UtcNow.AddSeconds(30);
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < deadline, $"Waited 30 s for {what}; {published.Count} messages were published, {await CountAsync()} are left.");
            await Task.Delay(10, Cancellation);
        }
    }

    private sealed class Running(PublishOutboxLoop loop) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await loop.StopAsync(CancellationToken.None);
            loop.Dispose();
        }
    }

    private sealed class StandingTime : TimeProvider
    {
        public override long GetTimestamp() => 0;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            new NeverTimer();

        private sealed class NeverTimer : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
