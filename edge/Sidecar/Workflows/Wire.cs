using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Small conversions between the wire and our own values.</summary>
internal static class Wire
{
    /// <summary>Events caused from outside the workflow have no action to be named after.</summary>
    public const int NoAction = -1;

    /// <summary>A timer set to this moment is never meant to fire.</summary>
    public static readonly DateTimeOffset Never = new(DateTime.MaxValue, TimeSpan.Zero);

    public static HistoryEvent NewEvent(DateTimeOffset now, int eventId = NoAction) => new() { EventId = eventId, Timestamp = Timestamp.FromDateTimeOffset(now) };

    /// <summary>What a peer wrote may lie outside of every calendar; it then means the nearest moment that we can name.</summary>
    [return: NotNullIfNotNull(nameof(timestamp))]
    public static DateTimeOffset? Moment(Timestamp? timestamp)
    {
        if (timestamp is null)
        {
            return null;
        }

        const long secondsMax = 253402300799;
        return timestamp.Seconds >= secondsMax ? Never
            : timestamp.Seconds <= DateTimeOffset.MinValue.ToUnixTimeSeconds() ? DateTimeOffset.MinValue
            : DateTimeOffset.FromUnixTimeSeconds(timestamp.Seconds).AddTicks(Math.Clamp(timestamp.Nanos, 0, 999_999_999) / 100);
    }

    public static byte[] Write(IEnumerable<HistoryEvent> events) => new GetInstanceHistoryResponse { Events = { events } }.ToByteArray();

    public static IReadOnlyList<HistoryEvent> ReadMany(byte[] bytes) => GetInstanceHistoryResponse.Parser.ParseFrom(bytes).Events;

    public static HistoryEvent Read(byte[] bytes) => HistoryEvent.Parser.ParseFrom(bytes);
}
