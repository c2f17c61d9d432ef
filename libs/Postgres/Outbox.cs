using System.Diagnostics;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace RenderTrust.Postgres;

/// <summary>Carries a message of the outbox to the broker; returns only when the broker has it.</summary>
public delegate Task OutboxPublish(string component, string topic, Guid messageId, string payloadJson, CancellationToken cancellationToken);

/// <summary>
/// Facts leave in the transaction that made them true: a row here, published afterwards at least once, oldest first.
/// The consumer's inbox makes it exactly once in effect. Table in each schema (<see cref="TableSql"/>).
/// </summary>
public sealed class Outbox
{
    /// <summary>For a service's first migration.</summary>
    public const string TableSql =
        """
        CREATE TABLE outbox (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            message_id uuid NOT NULL UNIQUE, component text NOT NULL, topic text NOT NULL, payload jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(), trace_parent text, trace_state text);
        CREATE TABLE inbox (message_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());
        """;

    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    internal ChannelReader<bool> Wakes => wake.Reader;

    /// <summary>Adds a message to the caller's transaction.</summary>
    public static async Task AddAsync(NpgsqlTransaction transaction, Guid messageId, string component, string topic, string payloadJson, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        await using var insert = new NpgsqlCommand(
            "INSERT INTO outbox (message_id, component, topic, payload, trace_parent, trace_state) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (message_id) DO NOTHING",
            transaction.Connection, transaction)
        {
            Parameters =
            {
                new() { Value = messageId }, new() { Value = component }, new() { Value = topic },
                new() { Value = payloadJson, NpgsqlDbType = NpgsqlDbType.Jsonb },
                new() { Value = (object?)OutboxTrace.CurrentParent ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
                new() { Value = (object?)OutboxTrace.CurrentState ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
            },
        };
        await insert.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Call after the commit, so that the message leaves now and not with the next poll.</summary>
    public void Wake() => wake.Writer.TryWrite(true);
}

/// <summary>Remembers which messages have taken effect.</summary>
public static class Inbox
{
    /// <summary>False when the message was handled before; the row commits with the caller's effect.</summary>
    public static async Task<bool> TryRecordAsync(NpgsqlTransaction transaction, Guid messageId, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        await using var insert = new NpgsqlCommand("INSERT INTO inbox (message_id) VALUES ($1) ON CONFLICT DO NOTHING", transaction.Connection, transaction)
        {
            Parameters = { new() { Value = messageId } },
        };
        return await insert.ExecuteNonQueryAsync(cancellationToken) == 1;
    }
}

/// <summary>
/// Publishes the outbox of this process's schema, at least once and in the order of the rows within a topic. One replica at a time works
/// on it; an advisory lock of the session decides, so that the connection must not go through a pooler in transaction mode.
/// Rows are numbered when they are inserted, not when they commit: order between transactions holds where they wait for each other.
/// </summary>
public sealed partial class PublishOutboxLoop(NpgsqlDataSource dataSource, Outbox outbox, OutboxPublish publish, TimeProvider time, ILogger<PublishOutboxLoop> logger) : BackgroundService
{
    private const int BatchSize = 100;
    private const string Turn = "outbox";

    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(2);

    /// <summary>For what must be noted although the process stops: what the broker has is not sent again.</summary>
    private static readonly TimeSpan NoteTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Topics that the broker refused, by component and topic. The others go on.</summary>
    private readonly Dictionary<string, Pause> paused = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await PublishAllAsync(stoppingToken);
                failures = 0;
                await WaitAsync(NextLook(), stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The database is away: the rows stay.
                failures++;
                LogPublishFailed(logger, exception, failures);
                try
                {
                    // Deaf to wakes: a busy service would otherwise turn the wait into a storm.
                    await Task.Delay(Backoff(failures), time, stoppingToken);
                }
                catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
                {
                    return;
                }
            }
        }
    }

    private static TimeSpan Backoff(int failures) => TimeSpan.FromMilliseconds(Math.Min(30_000, 250 * Math.Pow(2, Math.Min(failures, 8))));

    private TimeSpan NextLook()
    {
        var next = PollInterval;
        var now = time.GetTimestamp();
        foreach (var pause in paused.Values)
        {
            var left = pause.Length - time.GetElapsedTime(pause.Since, now);
            next = left < next ? left : next;
        }

        return next > TimeSpan.Zero ? next : TimeSpan.FromMilliseconds(1);
    }

    /// <summary>A wake that comes while nobody waits stays in the channel, so that none is lost between the last look and this.</summary>
    private async Task WaitAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(longest, time, limit.Token);
        var woken = outbox.Wakes.ReadAsync(limit.Token).AsTask();
        await Task.WhenAny(delay, woken);
        await limit.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task PublishAllAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);

        // A session lock and no transaction while the broker is asked: an open transaction id would hold back every reader
        // that waits for older transactions to end, the tail of job events first of all. It waits as long as another replica
        // publishes: giving up would leave a message for the next poll that the other one looked for just before it came.
        await SessionLock.TakeAsync(connection, Turn, cancellationToken);
        try
        {
            while (await PublishBatchAsync(connection, cancellationToken))
            {
            }
        }
        finally
        {
            await SessionLock.GiveAsync(connection, Turn);
        }
    }

    /// <summary>False when there is nothing left that may be sent now.</summary>
    private async Task<bool> PublishBatchAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var batch = await ReadBatchAsync(connection, cancellationToken);
        var sent = new List<long>(batch.Count);
        try
        {
            foreach (var message in batch)
            {
                if (IsPaused(message.Lane))
                {
                    continue;
                }

                if (await TrySendAsync(message, cancellationToken))
                {
                    sent.Add(message.Position);
                }
            }
        }
        finally
        {
            await NoteSentAsync(connection, sent);
        }

        return batch.Count > 0;
    }

    private async Task<List<Message>> ReadBatchAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var select = new NpgsqlCommand(
            """
            SELECT position, message_id, component, topic, payload::text, trace_parent, trace_state FROM outbox
            WHERE NOT (component || '/' || topic = ANY ($1)) ORDER BY position LIMIT $2
            """, connection)
        {
            Parameters = { new() { Value = paused.Keys.Where(IsPaused).ToArray() }, new() { Value = BatchSize } },
        };
        var batch = new List<Message>();
        await using var reader = await select.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            batch.Add(new Message(reader.GetInt64(0), reader.GetGuid(1), reader.GetString(2), reader.GetString(3), reader.GetString(4), OutboxTrace.Read(reader, 5)));
        }

        return batch;
    }

    private async Task<bool> TrySendAsync(Message message, CancellationToken cancellationToken)
    {
        using var span = OutboxTrace.Start($"publish {message.Topic}", message.Parent);
        try
        {
            await publish(message.Component, message.Topic, message.Id, message.Payload, cancellationToken);
            paused.Remove(message.Lane);
            return true;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // The topic waits as a whole, or its order would be lost; what is missing is one topic's, so the others go on.
            var failures = paused.GetValueOrDefault(message.Lane)?.Failures + 1 ?? 1;
            paused[message.Lane] = new Pause(failures, time.GetTimestamp(), Backoff(failures));
            LogTopicFailed(logger, exception, message.Id, message.Lane, failures);
            return false;
        }
    }

    private static async Task NoteSentAsync(NpgsqlConnection connection, List<long> sent)
    {
        if (sent.Count == 0)
        {
            return;
        }

        // Not the caller's token: what the broker has must be noted, or it is all sent again.
        using var limit = new CancellationTokenSource(NoteTimeout);
        await using var delete = new NpgsqlCommand("DELETE FROM outbox WHERE position = ANY ($1)", connection) { Parameters = { new() { Value = sent.ToArray() } } };
        await delete.ExecuteNonQueryAsync(limit.Token);
    }

    private bool IsPaused(string lane) => paused.TryGetValue(lane, out var pause) && time.GetElapsedTime(pause.Since) < pause.Length;

    private sealed record Message(long Position, Guid Id, string Component, string Topic, string Payload, ActivityContext? Parent)
    {
        public string Lane { get; } = $"{Component}/{Topic}";
    }

    private sealed record Pause(int Failures, long Since, TimeSpan Length);

    [LoggerMessage(LogLevel.Warning, "Publishing message {MessageId} to {Topic} failed for the {Failures}. time; it stays first of its topic and is tried again")]
    private static partial void LogTopicFailed(ILogger logger, Exception exception, Guid messageId, string topic, int failures);

    [LoggerMessage(LogLevel.Warning, "Reading the outbox failed for the {Failures}. time; the messages stay and are tried again")]
    private static partial void LogPublishFailed(ILogger logger, Exception exception, int failures);
}

public static class OutboxServiceExtensions
{
    /// <summary>
    /// Needs the tables of <see cref="Outbox.TableSql"/>. ServiceDefaults has the publisher over Dapr:
    /// <c>services.AddOutbox(provider => provider.GetRequiredService&lt;DaprPublisher&gt;().PublishAsync)</c>.
    /// </summary>
    public static IServiceCollection AddOutbox(this IServiceCollection services, Func<IServiceProvider, OutboxPublish> publish)
    {
        services.AddSingleton<Outbox>();
        services.AddSingleton(publish);
        services.AddHostedService<PublishOutboxLoop>();
        return services;
    }
}
