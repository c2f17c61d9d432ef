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
            created_at timestamptz NOT NULL DEFAULT now());
        CREATE TABLE inbox (message_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());
        """;

    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    internal ChannelReader<bool> Wakes => wake.Reader;

    /// <summary>Adds a message to the caller's transaction.</summary>
    public static async Task AddAsync(NpgsqlTransaction transaction, Guid messageId, string component, string topic, string payloadJson, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        await using var insert = new NpgsqlCommand(
            "INSERT INTO outbox (message_id, component, topic, payload) VALUES ($1, $2, $3, $4) ON CONFLICT (message_id) DO NOTHING",
            transaction.Connection, transaction)
        {
            Parameters =
            {
                new() { Value = messageId }, new() { Value = component }, new() { Value = topic },
                new() { Value = payloadJson, NpgsqlDbType = NpgsqlDbType.Jsonb },
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

/// <summary>Publishes the outbox of this process's schema. One replica at a time works on it; an advisory lock decides.</summary>
public sealed partial class PublishOutboxLoop(NpgsqlDataSource dataSource, Outbox outbox, OutboxPublish publish, TimeProvider time, ILogger<PublishOutboxLoop> logger) : BackgroundService
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await PublishBatchAsync(stoppingToken) > 0)
                {
                }

                failures = 0;
                await WaitAsync(PollInterval, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The broker or the database is away: the rows stay, the wait grows to half a minute.
                failures++;
                LogPublishFailed(logger, exception, failures);
                await WaitAsync(TimeSpan.FromMilliseconds(Math.Min(30_000, 250 * Math.Pow(2, Math.Min(failures, 8)))), stoppingToken);
            }
        }
    }

    private async Task WaitAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(longest, time, limit.Token);
        var woken = outbox.Wakes.ReadAsync(limit.Token).AsTask();
        await Task.WhenAny(delay, woken);
        await limit.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task<int> PublishBatchAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);

        // A session lock and no transaction while the broker is asked: an open transaction id would hold back every reader
        // that waits for older transactions to end, the tail of job events first of all.
        await using (var take = new NpgsqlCommand("SELECT pg_advisory_lock(hashtextextended('outbox:' || current_schema(), 0))", connection))
        {
            await take.ExecuteNonQueryAsync(cancellationToken);
        }

        try
        {
            return await PublishLockedBatchAsync(connection, cancellationToken);
        }
        finally
        {
            // Not the caller's token: a lock left on a pooled connection would stop the other replicas.
            await using var give = new NpgsqlCommand("SELECT pg_advisory_unlock(hashtextextended('outbox:' || current_schema(), 0))", connection);
            await give.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private async Task<int> PublishLockedBatchAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var batch = new List<(long Position, Guid Id, string Component, string Topic, string Payload)>();
        await using (var select = new NpgsqlCommand(
            "SELECT position, message_id, component, topic, payload::text FROM outbox ORDER BY position LIMIT 100", connection))
        await using (var reader = await select.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                batch.Add((reader.GetInt64(0), reader.GetGuid(1), reader.GetString(2), reader.GetString(3), reader.GetString(4)));
            }
        }

        if (batch.Count == 0)
        {
            return 0;
        }

        foreach (var (_, id, component, topic, payload) in batch)
        {
            await publish(component, topic, id, payload, cancellationToken);
        }

        await using (var delete = new NpgsqlCommand("DELETE FROM outbox WHERE position = ANY($1)", connection)
        {
            Parameters = { new() { Value = batch.Select(row => row.Position).ToArray() } },
        })
        {
            await delete.ExecuteNonQueryAsync(cancellationToken);
        }

        return batch.Count;
    }

    [LoggerMessage(LogLevel.Warning, "Publishing the outbox failed for the {Failures}. time; the messages stay and are tried again")]
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
