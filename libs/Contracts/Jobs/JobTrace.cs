using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Contracts;

/// <summary><c>GET /v1/jobs/{jobId}/trace</c>: everything that was done for one job, by whom and when. Another creator's job is answered like an unknown one.</summary>
/// <param name="TraceId">The W3C trace id, 32 hex digits; absent when no trace is kept of this job.</param>
/// <param name="StartedAt">Of the first span; offsets count from here.</param>
/// <param name="DurationMs">From the first span's start to the last one's end.</param>
/// <param name="IsSettled">False while the job runs, or ended a moment ago: more spans may come.</param>
/// <param name="TracedUnits">Units below this index are traced; a large job's others are not.</param>
/// <param name="Spans">Spans without a parent in this trace, oldest first, each with what it caused.</param>
public sealed record JobTrace(
    JobId JobId, string? TraceId, DateTimeOffset? StartedAt, double DurationMs, int SpanCount, bool IsSettled, int TracedUnits, IReadOnlyList<TraceSpan> Spans);

/// <param name="SpanId">16 hex digits.</param>
/// <param name="Service"><c>client gateway hub sidecar scheduler ledger agent</c>.</param>
/// <param name="OffsetMs">Start after the trace's first span, by the clock of the machine that did it.</param>
/// <param name="Attributes">Ids, states, sizes and counts; never a name, parameter or content of what was rendered.</param>
public sealed record TraceSpan(
    string SpanId, string? ParentSpanId, string Service, string Name, double OffsetMs, double DurationMs, bool Failed,
    IReadOnlyDictionary<string, string> Attributes, IReadOnlyList<TraceSpan> Children);

/// <summary><c>POST /v1/jobs/{jobId}/spans</c>: what the creator's own program did for the job, once its command has ended. Shown as service <c>client</c>.</summary>
/// <param name="TraceId">Spans of another trace than the job's are not kept.</param>
public sealed record ClientSpans(
    [property: RegularExpression("^[0-9a-f]{32}$")] string TraceId,
    [property: MaxLength(100)] IReadOnlyList<ClientSpan> Spans);

/// <param name="Name">What was done, in at most 60 letters, digits, spaces and slashes.</param>
/// <param name="Bytes">How much was moved, if anything was.</param>
public sealed record ClientSpan(
    [property: RegularExpression("^[0-9a-f]{16}$")] string SpanId,
    [property: RegularExpression("^[0-9a-f]{16}$")] string? ParentSpanId,
    [property: RegularExpression("^[a-zA-Z0-9 /_-]{1,60}$")] string Name,
    DateTimeOffset StartedAt,
    [property: Range(0, 604_800_000)] double DurationMs,
    bool Failed,
    long? Bytes = null);

/// <summary>What a node did for an attempt, with its result. Checked by the hub: ids, names and attributes have the form of ours.</summary>
public sealed record NodeSpan(
    string SpanId, string? ParentSpanId, string Name, DateTimeOffset StartedAt, double DurationMs, bool Failed, IReadOnlyDictionary<string, string>? Attributes = null);
