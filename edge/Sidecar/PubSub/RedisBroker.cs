using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using StackExchange.Redis;

namespace RenderTrust.Sidecar.PubSub;

internal sealed record RedisBrokerOptions
{
    public required ConfigurationOptions Connection { get; init; }
    public required string ConsumerId { get; init; }

    /// <summary>True when the consumer id was made for this run only: its groups are removed at the end.</summary>
    public bool ConsumerIsTransient { get; init; }
    public TimeSpan RedeliverInterval { get; init; } = TimeSpan.FromSeconds(60);
    public TimeSpan ProcessingTimeout { get; init; } = TimeSpan.FromSeconds(15);
    public int QueueDepth { get; init; } = 100;
    public int Concurrency { get; init; } = 10;
    public long MaxLengthApprox { get; init; }
    public TimeSpan StreamTtl { get; init; }
}

/// <summary>
/// pubsub.redis: the stream is the topic, the message is field <c>data</c> (and <c>metadata</c> as JSON),
/// group and consumer are the consumerID. Not acknowledged means pending; pending longer than
/// <c>processingTimeout</c> is claimed and delivered again every <c>redeliverInterval</c>.
/// </summary>
internal sealed partial class RedisBroker : IBroker
{
    // The client answers one command after the other on a connection, so a blocking read needs one of its own.
    private static readonly TimeSpan Block = TimeSpan.FromSeconds(2);

    // Deliveries under way at the end may finish within this time; what does not stays pending in Redis.
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(5);

    private readonly RedisBrokerOptions options;
    private readonly ConnectionMultiplexer connection;
    private readonly TimeProvider time;
    private readonly ILogger logger;

    private RedisBroker(RedisBrokerOptions options, ConnectionMultiplexer connection, TimeProvider time, ILogger logger)
    {
        this.options = options;
        this.connection = connection;
        this.time = time;
        this.logger = logger;
    }

    private IDatabase Database => connection.GetDatabase();

    public static async Task<RedisBroker> OpenAsync(RedisBrokerOptions options, TimeProvider time, ILogger logger) =>
        new(options, await ConnectionMultiplexer.ConnectAsync(options.Connection), time, logger);

    public async Task PublishAsync(string topic, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        NameValueEntry[] fields = metadata.Count == 0
            ? [new("data", data)]
            : [new("data", data), new("metadata", JsonSerializer.SerializeToUtf8Bytes(metadata))];
        if (options.StreamTtl > TimeSpan.Zero)
        {
            var oldest = (time.GetUtcNow() - options.StreamTtl).ToUnixTimeMilliseconds();
            await Database.StreamTrimByMinIdAsync(topic, oldest.ToString(CultureInfo.InvariantCulture), useApproximateMaxLength: true);
        }

        await Database.StreamAddAsync(topic, fields, maxLength: options.MaxLengthApprox > 0 ? options.MaxLengthApprox : null, useApproximateMaxLength: options.MaxLengthApprox > 0)
            .WaitAsync(cancellationToken);
    }

    public async Task<IAsyncDisposable> SubscribeAsync(IReadOnlyDictionary<string, BrokerHandler> topics, CancellationToken cancellationToken)
    {
        foreach (var topic in topics.Keys)
        {
            await CreateGroupAsync(topic);
        }

        var readerOptions = options.Connection.Clone();
        readerOptions.AsyncTimeout = (int)Block.TotalMilliseconds + 10_000;
        readerOptions.SyncTimeout = readerOptions.AsyncTimeout;
        var reader = await ConnectionMultiplexer.ConnectAsync(readerOptions);
        var stopping = new CancellationTokenSource();
        var aborting = new CancellationTokenSource();
        var queue = Channel.CreateBounded<Delivery>(new BoundedChannelOptions(options.QueueDepth));
        var loops = new List<Task>
        {
            ReadLoopAsync(reader, topics, queue.Writer, stopping.Token),
            ReclaimLoopAsync(topics, queue.Writer, stopping.Token),
        };
        loops.AddRange(Enumerable.Range(0, options.Concurrency).Select(_ => WorkLoopAsync(queue.Reader, stopping.Token, aborting.Token)));
        return new Ending(async () =>
        {
            await stopping.CancelAsync();
            aborting.CancelAfter(DrainLimit);
            await Task.WhenAll(loops);
            await reader.CloseAsync(allowCommandsToComplete: false);
            await reader.DisposeAsync();
            await RemoveTransientGroupsAsync(topics.Keys);
            stopping.Dispose();
            aborting.Dispose();
        });
    }

    public async ValueTask DisposeAsync() => await connection.DisposeAsync();

    private async Task CreateGroupAsync(string topic)
    {
        try
        {
            // From the beginning, as daprd does: what was published before the first subscriber came is still delivered.
            await Database.StreamCreateConsumerGroupAsync(topic, options.ConsumerId, "0", createStream: true);
        }
        catch (RedisServerException e) when (e.Message.StartsWith("BUSYGROUP", StringComparison.Ordinal))
        {
            // The group is there from an earlier run; it continues where it stopped.
        }
    }

    private async Task ReadLoopAsync(
        ConnectionMultiplexer reader, IReadOnlyDictionary<string, BrokerHandler> topics, ChannelWriter<Delivery> queue, CancellationToken stopping)
    {
        object[] command =
        [
            "GROUP", options.ConsumerId, options.ConsumerId,
            "COUNT", options.QueueDepth,
            "BLOCK", (long)Block.TotalMilliseconds,
            "STREAMS", .. topics.Keys.Select(topic => (object)(RedisKey)topic), .. topics.Keys.Select(_ => (object)">"),
        ];
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                var reply = await reader.GetDatabase().ExecuteAsync("XREADGROUP", command).WaitAsync(stopping);
                foreach (var (topic, messages) in ParseStreams(reply))
                {
                    await EnqueueAsync(topic, messages, topics[topic], queue, stopping);
                }
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LogReadFailed(logger, e, options.ConsumerId);
                await RecoverAsync(e, topics.Keys, stopping);
            }
        }
    }

    // A Redis without persistence forgets streams and groups when it restarts: they are made anew.
    private async Task RecoverAsync(Exception failure, IEnumerable<string> topics, CancellationToken stopping)
    {
        try
        {
            await Task.Delay(TimeSpan.FromMilliseconds(500), time, stopping);
            if (failure.Message.Contains("NOGROUP", StringComparison.Ordinal))
            {
                foreach (var topic in topics)
                {
                    await CreateGroupAsync(topic);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The loop's own condition ends it.
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            LogReadFailed(logger, e, options.ConsumerId);
        }
    }

    private async Task ReclaimLoopAsync(IReadOnlyDictionary<string, BrokerHandler> topics, ChannelWriter<Delivery> queue, CancellationToken stopping)
    {
        if (options.RedeliverInterval <= TimeSpan.Zero || options.ProcessingTimeout <= TimeSpan.Zero)
        {
            return;
        }

        while (!stopping.IsCancellationRequested)
        {
            try
            {
                foreach (var (topic, handler) in topics)
                {
                    await ReclaimAsync(topic, handler, queue, stopping);
                }

                await Task.Delay(options.RedeliverInterval, time, stopping);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LogReclaimFailed(logger, e, options.ConsumerId);
                await RecoverAsync(e, [], stopping);
            }
        }
    }

    private async Task ReclaimAsync(string topic, BrokerHandler handler, ChannelWriter<Delivery> queue, CancellationToken stopping)
    {
        var idleMilliseconds = (long)options.ProcessingTimeout.TotalMilliseconds;
        var pending = await Database.StreamPendingMessagesAsync(topic, options.ConsumerId, options.QueueDepth, RedisValue.Null, minIdleTimeInMs: idleMilliseconds);
        RedisValue[] ids = [.. pending.Where(message => message.IdleTimeInMilliseconds >= idleMilliseconds).Select(message => message.MessageId)];
        if (ids.Length == 0)
        {
            return;
        }

        var claimed = await Database.StreamClaimAsync(topic, options.ConsumerId, options.ConsumerId, idleMilliseconds, ids);
        var alive = claimed.Where(entry => !entry.IsNull && entry.Values is { Length: > 0 }).ToArray();
        LogReclaimed(logger, topic, options.ConsumerId, alive.Length);
        await EnqueueAsync(topic, alive, handler, queue, stopping);

        // Trimmed away while pending: nothing is left to deliver, so they leave the pending list.
        RedisValue[] gone = [.. ids.Except(alive.Select(entry => entry.Id))];
        if (gone.Length > 0 && claimed.Length == ids.Length - gone.Length)
        {
            var existing = await StillExistingAsync(topic, gone);
            RedisValue[] trimmed = [.. gone.Except(existing)];
            if (trimmed.Length > 0)
            {
                await Database.StreamAcknowledgeAsync(topic, options.ConsumerId, trimmed);
            }
        }
    }

    // Not claimed can also mean that another host was quicker: only what the stream no longer has is acknowledged.
    private async Task<List<RedisValue>> StillExistingAsync(string topic, RedisValue[] ids)
    {
        var existing = new List<RedisValue>();
        foreach (var id in ids)
        {
            if ((await Database.StreamRangeAsync(topic, id, id)).Length > 0)
            {
                existing.Add(id);
            }
        }

        return existing;
    }

    private static async Task EnqueueAsync(
        string topic, IEnumerable<StreamEntry> entries, BrokerHandler handler, ChannelWriter<Delivery> queue, CancellationToken stopping)
    {
        foreach (var entry in entries)
        {
            ReadOnlyMemory<byte> data = default;
            IReadOnlyDictionary<string, string> metadata = new Dictionary<string, string>();
            foreach (var field in entry.Values)
            {
                if (field.Name == "data")
                {
                    data = (ReadOnlyMemory<byte>)field.Value;
                }
                else if (field.Name == "metadata")
                {
                    metadata = ReadMetadata((byte[])field.Value!);
                }
            }

            await queue.WriteAsync(new Delivery(entry.Id, new BrokerMessage(topic, data, metadata), handler), stopping);
        }
    }

    private static Dictionary<string, string> ReadMetadata(byte[] json)
    {
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, string>>(json) ?? [];
        }
        catch (JsonException)
        {
            // Another publisher's field of the same name: the message itself is still good.
            return [];
        }
    }

    private async Task WorkLoopAsync(ChannelReader<Delivery> queue, CancellationToken stopping, CancellationToken aborting)
    {
        try
        {
            await foreach (var delivery in queue.ReadAllAsync(stopping))
            {
                await DeliverAsync(delivery, aborting);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Unread deliveries stay pending in Redis and are claimed by the next run.
        }
    }

    private async Task DeliverAsync(Delivery delivery, CancellationToken aborting)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(aborting);
        if (options.ProcessingTimeout > TimeSpan.Zero)
        {
            limit.CancelAfter(options.ProcessingTimeout);
        }

        try
        {
            if (await delivery.Handler(delivery.Message, limit.Token))
            {
                // Not the subscription's token: an event that was handled must not come again because we are stopping.
                await Database.StreamAcknowledgeAsync(delivery.Message.Topic, options.ConsumerId, delivery.Id);
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            LogTimedOut(logger, delivery.Message.Topic, delivery.Id.ToString(), options.ProcessingTimeout);
        }
        catch (Exception e)
        {
            LogDeliveryFailed(logger, e, delivery.Message.Topic, delivery.Id.ToString());
        }
    }

    private async Task RemoveTransientGroupsAsync(IEnumerable<string> topics)
    {
        if (!options.ConsumerIsTransient)
        {
            return;
        }

        foreach (var topic in topics)
        {
            try
            {
                await Database.StreamDeleteConsumerGroupAsync(topic, options.ConsumerId);
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                LogGroupLeft(logger, e, topic, options.ConsumerId);
            }
        }
    }

    private static IEnumerable<(string Topic, StreamEntry[] Messages)> ParseStreams(RedisResult reply)
    {
        if (reply.IsNull)
        {
            yield break;
        }

        foreach (var stream in (RedisResult[])reply!)
        {
            var parts = (RedisResult[])stream!;
            var entries = ((RedisResult[])parts[1]!).Select(ParseEntry).ToArray();
            yield return ((string)parts[0]!, entries);
        }
    }

    private static StreamEntry ParseEntry(RedisResult entry)
    {
        var parts = (RedisResult[])entry!;
        var flat = (RedisValue[])parts[1]!;
        var fields = new NameValueEntry[flat.Length / 2];
        for (var i = 0; i < fields.Length; i++)
        {
            fields[i] = new NameValueEntry(flat[2 * i], flat[(2 * i) + 1]);
        }

        return new StreamEntry((RedisValue)parts[0], fields);
    }

    [LoggerMessage(LogLevel.Warning, "Redis consumer {ConsumerId}: reading failed, trying again")]
    private static partial void LogReadFailed(ILogger logger, Exception exception, string consumerId);

    [LoggerMessage(LogLevel.Warning, "Redis consumer {ConsumerId}: claiming pending messages failed, trying again")]
    private static partial void LogReclaimFailed(ILogger logger, Exception exception, string consumerId);

    [LoggerMessage(LogLevel.Debug, "Topic {Topic}, consumer {ConsumerId}: {Count} pending messages were claimed for redelivery")]
    private static partial void LogReclaimed(ILogger logger, string topic, string consumerId, int count);

    [LoggerMessage(LogLevel.Warning, "Topic {Topic}, message {MessageId}: the app did not answer within {ProcessingTimeout} or the host is stopping; it stays pending")]
    private static partial void LogTimedOut(ILogger logger, string topic, string messageId, TimeSpan processingTimeout);

    [LoggerMessage(LogLevel.Warning, "Topic {Topic}, message {MessageId}: was not delivered or not acknowledged and comes again")]
    private static partial void LogDeliveryFailed(ILogger logger, Exception exception, string topic, string messageId);

    [LoggerMessage(LogLevel.Warning, "Topic {Topic}: the transient group {ConsumerId} could not be removed")]
    private static partial void LogGroupLeft(ILogger logger, Exception exception, string topic, string consumerId);

    private sealed record Delivery(RedisValue Id, BrokerMessage Message, BrokerHandler Handler);
}
