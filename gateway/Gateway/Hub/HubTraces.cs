using System.Diagnostics;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;
using RenderTrust.Telemetry;

namespace RenderTrust.Gateway.Hub;

/// <summary>The job's trace that an attempt belongs to, as the scheduler said it: never as the node says.</summary>
internal sealed record AttemptTrace(JobMark Mark, ActivityContext Parent);

/// <summary>The hub's spans of a job, and those that nodes send with their results.</summary>
internal static class HubTraces
{
    private const int MostSpans = 32;
    private const int LongestText = 60;
    private static readonly ActivitySource Source = new(TelemetryNames.SourcePrefix + "Hub");

    /// <summary>Begins the offer's span; null when the attempt is not traced.</summary>
    public static Activity? BeginOffer(Contracts.LeaseOffer offer) => JobMark.Current is null
        ? null
        : Source.StartActivity("offer lease")?
            .SetTag(TelemetryNames.UnitIndex, offer.UnitIndex).SetTag(TelemetryNames.AttemptNumber, offer.AttemptNumber)
            .SetTag(TelemetryNames.AttemptId, offer.AttemptId).SetTag(TelemetryNames.NodeId, offer.NodeId);

    /// <summary>Under what the node did, if it names a span of the job's own trace; else under the lease.</summary>
    public static Activity? BeginResult(AttemptTrace? trace, UnitResult result, DateTimeOffset receivedAt)
    {
        if (trace is null)
        {
            return null;
        }

        var parent = trace.Mark.Parent(result.TraceParent) is { } node && node.TraceId == trace.Parent.TraceId ? node : trace.Parent;
        return Source.StartActivity("take result", ActivityKind.Consumer, parent, startTime: receivedAt)?.SetTag(TelemetryNames.AttemptId, result.AttemptId);
    }

    public static AttemptTrace? Of(Activity? offer) =>
        offer is not null && JobMark.TryRead(offer.TraceStateString, out var mark) ? new AttemptTrace(mark, offer.Context) : null;

    public static AttemptTrace? Of(LiveAttempt live)
    {
        if (live.JobId is not { } jobId)
        {
            return null;
        }

        var mark = new JobMark(jobId.Value, live.TenantId.Value);
        return mark.Parent(live.TraceParent) is { } parent ? new AttemptTrace(mark, parent) : null;
    }

    /// <summary>Nodes are other people's machines: what has not the form of ours is left out.</summary>
    public static IReadOnlyList<NodeSpan>? Checked(UnitResult result, AttemptTrace? trace)
    {
        if (trace is null || result.Spans.Count == 0)
        {
            return null;
        }

        return [.. result.Spans.Take(MostSpans).Where(IsPlausible).Select(span => new NodeSpan(
            span.SpanId, span.ParentSpanId.Length > 0 ? span.ParentSpanId : null, span.Name, DateTimeOffset.UnixEpoch.AddMicroseconds(span.StartedUnixUs), span.DurationUs / 1000.0, span.Failed,
            span.Attributes.Where(pair => JobSpan.MayKeep(pair.Key) && IsPlain(pair.Key) && IsPlain(pair.Value)).ToDictionary(StringComparer.Ordinal)))];
    }

    private static bool IsPlausible(EdgeProtocol.Span span) =>
        IsSpanId(span.SpanId) && (span.ParentSpanId.Length == 0 || IsSpanId(span.ParentSpanId)) && IsPlain(span.Name)
        && span.DurationUs >= 0 && span.StartedUnixUs is > 0 and < 253_402_300_799_000_000;

    private static bool IsSpanId(string text) => text.Length == 16 && text.All(char.IsAsciiHexDigitLower);

    private static bool IsPlain(string text) => text.Length is > 0 and <= LongestText && text.All(c => char.IsAsciiLetterOrDigit(c) || c is ' ' or '.' or '_' or '-');
}
