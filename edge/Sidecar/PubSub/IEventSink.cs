namespace RenderTrust.Sidecar.PubSub;

/// <summary>What becomes of a message after one delivery.</summary>
internal enum DeliveryOutcome
{
    Acknowledge = 0,
    Retry = 1,

    /// <summary>To the dead letters where there are some, else gone.</summary>
    Drop = 2,

    /// <summary>Gone, dead letters or not.</summary>
    Discard = 3,
}

/// <param name="Route">Of the app, with its leading slash; empty for a stream.</param>
/// <param name="Message">As the broker has it.</param>
/// <param name="Body">The CloudEvent, made at delivery where the message was raw.</param>
internal sealed record RoutedEvent(string Route, BrokerMessage Message, ReadOnlyMemory<byte> Body, string? TraceParent, string? TraceState);

/// <summary>Takes an event to where it is handled, and tells the verdict.</summary>
internal interface IEventSink
{
    Task<DeliveryOutcome> DeliverAsync(RoutedEvent routed, CancellationToken cancellationToken);
}
