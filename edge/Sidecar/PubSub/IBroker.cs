namespace RenderTrust.Sidecar.PubSub;

internal sealed record BrokerMessage(string Topic, ReadOnlyMemory<byte> Data, IReadOnlyDictionary<string, string> Metadata);

/// <summary>Answers true when the message is done with; false asks the broker to deliver it again.</summary>
internal delegate Task<bool> BrokerHandler(BrokerMessage message, CancellationToken cancellationToken);

internal interface IBroker : IAsyncDisposable
{
    Task PublishAsync(string topic, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken);

    /// <summary>Starts deliveries; disposing the answer ends them after those under way.</summary>
    Task<IAsyncDisposable> SubscribeAsync(IReadOnlyDictionary<string, BrokerHandler> topics, CancellationToken cancellationToken);
}
