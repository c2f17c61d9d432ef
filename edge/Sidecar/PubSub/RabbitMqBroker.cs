using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace RenderTrust.Sidecar.PubSub;

internal sealed record RabbitMqBrokerOptions
{
    public required Uri Address { get; init; }
    public required string ClientName { get; init; }
    public required string ConsumerId { get; init; }

    /// <summary>Exchanges and queues outlive a restart of the broker.</summary>
    public bool Durable { get; init; }

    /// <summary>A queue goes with its last consumer.</summary>
    public bool DeletedWhenUnused { get; init; } = true;

    /// <summary>A publish returns when the broker has the message, not when it was sent.</summary>
    public bool PublisherConfirm { get; init; }

    /// <summary>Messages are written to disk.</summary>
    public bool Persistent { get; init; }

    /// <summary>What an app could not take comes again; otherwise it is gone.</summary>
    public bool RequeueInFailure { get; init; }

    /// <summary>Messages of one subscription under way at the same time.</summary>
    public ushort Prefetch { get; init; } = 64;
    public ushort Concurrency { get; init; } = 64;
    public TimeSpan ReconnectWait { get; init; } = TimeSpan.FromSeconds(3);
    public TimeSpan? MessageTtl { get; init; }
    public long MaxLength { get; init; }
}

/// <summary>
/// pubsub.rabbitmq in daprd's layout: a fanout exchange per topic, a queue <c>{consumerID}-{topic}</c> bound to it, the message as it is.
/// Not acknowledged means given back to the queue. The client restores connection, queues and consumers after an outage of the broker.
/// </summary>
internal sealed partial class RabbitMqBroker : IBroker
{
    private const int PublishingChannels = 4;

    // Deliveries under way at the end may finish within this time; the broker gives what does not to the next run.
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(5);

    // Given back at once, a message that an app cannot take yet would come again thousands of times a second.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LaterPause = TimeSpan.FromSeconds(1);

    private readonly RabbitMqBrokerOptions options;
    private readonly IConnection connection;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly Channel<IChannel?> publishers = Channel.CreateBounded<IChannel?>(PublishingChannels);
    private readonly ConcurrentDictionary<string, bool> declared = new();

    private RabbitMqBroker(RabbitMqBrokerOptions options, IConnection connection, TimeProvider time, ILogger logger)
    {
        this.options = options;
        this.connection = connection;
        this.time = time;
        this.logger = logger;
        for (var i = 0; i < PublishingChannels; i++)
        {
            // Opened when they are first needed.
            publishers.Writer.TryWrite(null);
        }
    }

    public static async Task<RabbitMqBroker> OpenAsync(RabbitMqBrokerOptions options, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var factory = new ConnectionFactory
        {
            Uri = options.Address,
            ClientProvidedName = options.ClientName,
            AutomaticRecoveryEnabled = true,
            TopologyRecoveryEnabled = true,
            NetworkRecoveryInterval = options.ReconnectWait,
            RequestedHeartbeat = TimeSpan.FromSeconds(10),
        };
        return new RabbitMqBroker(options, await factory.CreateConnectionAsync(cancellationToken), time, logger);
    }

    public async Task PublishAsync(string topic, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        var properties = new BasicProperties { DeliveryMode = options.Persistent ? DeliveryModes.Persistent : DeliveryModes.Transient };
        if (metadata.TryGetValue("ttlInSeconds", out var ttl) && long.TryParse(ttl, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            properties.Expiration = (seconds * 1000).ToString(CultureInfo.InvariantCulture);
        }

        // A channel is for one publisher at a time.
        var channel = await publishers.Reader.ReadAsync(cancellationToken);
        try
        {
            if (channel is not { IsOpen: true })
            {
                channel = await ReopenAsync(channel, cancellationToken);
            }

            if (!declared.ContainsKey(topic))
            {
                await DeclareExchangeAsync(channel, topic, cancellationToken);
                declared[topic] = true;
            }

            await channel.BasicPublishAsync(topic, routingKey: "", mandatory: false, properties, data, cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // The exchange may be what is missing: a broker that lost everything gets it declared again.
            declared.TryRemove(topic, out _);
            throw;
        }
        finally
        {
            publishers.Writer.TryWrite(channel);
        }
    }

    public async Task<IAsyncDisposable> SubscribeAsync(IReadOnlyDictionary<string, BrokerHandler> topics, CancellationToken cancellationToken)
    {
        var stopping = new CancellationTokenSource();
        var consuming = new List<(IChannel Channel, string Tag)>();
        var underWay = new ConcurrentDictionary<Task, bool>();
        foreach (var (topic, handler) in topics)
        {
            var channel = await connection.CreateChannelAsync(new CreateChannelOptions(false, false, consumerDispatchConcurrency: options.Concurrency), cancellationToken);
            await DeclareExchangeAsync(channel, topic, cancellationToken);
            var queue = $"{options.ConsumerId}-{topic}";
            await channel.QueueDeclareAsync(queue, options.Durable, exclusive: false, options.DeletedWhenUnused, QueueArguments(), cancellationToken: cancellationToken);
            await channel.QueueBindAsync(queue, topic, routingKey: "", cancellationToken: cancellationToken);
            await channel.BasicQosAsync(0, options.Prefetch, global: false, cancellationToken);
            var consumer = new AsyncEventingBasicConsumer(channel);
            consumer.ReceivedAsync += async (_, delivery) =>
            {
                // The client takes its buffer back when this returns; the message may be needed longer.
                var message = new BrokerMessage(topic, delivery.Body.ToArray(), new Dictionary<string, string>());
                var task = DeliverAsync(channel, handler, message, delivery.DeliveryTag, delivery.Redelivered, stopping.Token);
                underWay[task] = true;
                await task;
                underWay.TryRemove(task, out var _);
            };
            consuming.Add((channel, await channel.BasicConsumeAsync(queue, autoAck: false, consumer, cancellationToken)));
        }

        return new Ending(async () =>
        {
            using var limit = new CancellationTokenSource(DrainLimit);
            foreach (var (channel, tag) in consuming)
            {
                await IgnoreOutageAsync(() => channel.BasicCancelAsync(tag, noWait: false, limit.Token));
            }

            await Task.WhenAny(Task.WhenAll(underWay.Keys), Task.Delay(DrainLimit, time));
            await stopping.CancelAsync();
            await Task.WhenAll(underWay.Keys);
            foreach (var (channel, _) in consuming)
            {
                await IgnoreOutageAsync(() => channel.CloseAsync());
                await channel.DisposeAsync();
            }

            stopping.Dispose();
        });
    }

    public async ValueTask DisposeAsync()
    {
        await IgnoreOutageAsync(() => connection.CloseAsync());
        await connection.DisposeAsync();
    }

    private async Task<IChannel> ReopenAsync(IChannel? broken, CancellationToken cancellationToken)
    {
        if (broken is not null)
        {
            await broken.DisposeAsync();
        }

        return await connection.CreateChannelAsync(new CreateChannelOptions(options.PublisherConfirm, options.PublisherConfirm), cancellationToken);
    }

    private Task DeclareExchangeAsync(IChannel channel, string topic, CancellationToken cancellationToken) =>
        channel.ExchangeDeclareAsync(topic, ExchangeType.Fanout, options.Durable, autoDelete: false, cancellationToken: cancellationToken);

    private Dictionary<string, object?> QueueArguments()
    {
        var arguments = new Dictionary<string, object?>();
        if (options.MessageTtl is { } ttl)
        {
            arguments["x-message-ttl"] = (long)ttl.TotalMilliseconds;
        }

        if (options.MaxLength > 0)
        {
            arguments["x-max-length"] = options.MaxLength;
        }

        return arguments;
    }

    private async Task DeliverAsync(IChannel channel, BrokerHandler handler, BrokerMessage message, ulong tag, bool isRedelivered, CancellationToken stopping)
    {
        try
        {
            if (await TryAsync(handler, message, stopping))
            {
                // Not the subscription's token: an event that was handled must not come again because we are stopping.
                await channel.BasicAckAsync(tag, multiple: false, CancellationToken.None);
                return;
            }

            if (options.RequeueInFailure)
            {
                await Task.Delay(isRedelivered ? LaterPause : FirstPause, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await channel.BasicNackAsync(tag, multiple: false, options.RequeueInFailure, CancellationToken.None);
        }
        catch (Exception e) when (IsOutage(e))
        {
            // Neither acknowledged nor given back: the broker does that by itself when it sees that the channel is gone.
            LogVerdictLost(logger, e, message.Topic);
        }
    }

    private async Task<bool> TryAsync(BrokerHandler handler, BrokerMessage message, CancellationToken stopping)
    {
        try
        {
            return await handler(message, stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return false;
        }
        catch (Exception e)
        {
            // The top of a loop: one bad message must not end the subscription.
            LogDeliveryFailed(logger, e, message.Topic);
            return false;
        }
    }

    private async Task IgnoreOutageAsync(Func<Task> end)
    {
        try
        {
            await end();
        }
        catch (Exception e) when (IsOutage(e) || e is OperationCanceledException)
        {
            LogEndedWithoutBroker(logger, e);
        }
    }

    private static bool IsOutage(Exception e) => e is RabbitMQClientException or IOException or ObjectDisposedException;

    [LoggerMessage(LogLevel.Warning, "Topic {Topic}: the broker went away before it heard what became of a message; it comes again")]
    private static partial void LogVerdictLost(ILogger logger, Exception exception, string topic);

    [LoggerMessage(LogLevel.Warning, "Topic {Topic}: a message was not delivered and comes again")]
    private static partial void LogDeliveryFailed(ILogger logger, Exception exception, string topic);

    [LoggerMessage(LogLevel.Debug, "The broker was away while its client ended")]
    private static partial void LogEndedWithoutBroker(ILogger logger, Exception exception);
}
