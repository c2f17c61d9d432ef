using System.Threading.Channels;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>
/// The bus of pubsub.in-memory: one for the whole host, so it crosses apps (daprd's is one per sidecar).
/// A subscriber that is away misses what was published meanwhile.
/// </summary>
internal sealed class InMemoryBus
{
    private readonly Lock gate = new();
    private readonly List<Subscriber> subscribers = [];

    public void Publish(BrokerMessage message)
    {
        lock (gate)
        {
            foreach (var subscriber in subscribers.Where(subscriber => subscriber.Topic == message.Topic))
            {
                // Unbounded by design: the bus is for tests, and a refused publish would be a behaviour that no broker has.
                subscriber.Queue.Writer.TryWrite(message);
            }
        }
    }

    public Subscriber Add(string topic)
    {
        var subscriber = new Subscriber(topic, Channel.CreateUnbounded<BrokerMessage>());
        lock (gate)
        {
            subscribers.Add(subscriber);
        }

        return subscriber;
    }

    public void Remove(Subscriber subscriber)
    {
        lock (gate)
        {
            subscribers.Remove(subscriber);
        }
    }

    internal sealed record Subscriber(string Topic, Channel<BrokerMessage> Queue);
}

internal sealed partial class InMemoryBroker(InMemoryBus bus, TimeProvider time, ILogger logger) : IBroker
{
    private const int AttemptsMax = 10;
    private const int Concurrency = 10;

    public Task PublishAsync(string topic, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        bus.Publish(new BrokerMessage(topic, data.ToArray(), metadata));
        return Task.CompletedTask;
    }

    public Task<IAsyncDisposable> SubscribeAsync(IReadOnlyDictionary<string, BrokerHandler> topics, CancellationToken cancellationToken)
    {
        var stopping = new CancellationTokenSource();
        var subscribers = topics.Keys.Select(bus.Add).ToList();
        var workers = subscribers
            .SelectMany(subscriber => Enumerable.Range(0, Concurrency).Select(_ => DeliverLoopAsync(subscriber, topics[subscriber.Topic], stopping.Token)))
            .ToList();
        return Task.FromResult<IAsyncDisposable>(new Ending(async () =>
        {
            subscribers.ForEach(bus.Remove);
            await stopping.CancelAsync();
            await Task.WhenAll(workers);
            stopping.Dispose();
        }));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task DeliverLoopAsync(InMemoryBus.Subscriber subscriber, BrokerHandler handler, CancellationToken stopping)
    {
        try
        {
            await foreach (var message in subscriber.Queue.Reader.ReadAllAsync(stopping))
            {
                for (var attempt = 1; !await TryAsync(handler, message, stopping); attempt++)
                {
                    if (attempt == AttemptsMax)
                    {
                        LogGaveUp(logger, message.Topic, AttemptsMax);
                        break;
                    }

                    await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(2000, 50 << attempt)), time, stopping);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The subscription ended; in-memory messages end with it.
        }
    }

    private async Task<bool> TryAsync(BrokerHandler handler, BrokerMessage message, CancellationToken stopping)
    {
        try
        {
            return await handler(message, stopping);
        }
        catch (Exception e) when (e is not OperationCanceledException || !stopping.IsCancellationRequested)
        {
            // The top of a loop: one bad message must not end the subscription, nor a call of the handler's own that was given up.
            LogFailed(logger, e, message.Topic);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Error, "In-memory topic {Topic}: a delivery failed")]
    private static partial void LogFailed(ILogger logger, Exception exception, string topic);

    [LoggerMessage(LogLevel.Error, "In-memory topic {Topic}: a message was given up after {Attempts} attempts")]
    private static partial void LogGaveUp(ILogger logger, string topic, int attempts);
}

/// <summary>Runs its action once, when disposed.</summary>
internal sealed class Ending(Func<Task> end) : IAsyncDisposable
{
    private Func<Task>? end = end;

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref end, null) is { } action)
        {
            await action();
        }
    }
}
