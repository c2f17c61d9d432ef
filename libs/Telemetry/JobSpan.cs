using System.Diagnostics;
using System.Globalization;

namespace RenderTrust.Telemetry;

/// <summary>One finished span of a job's trace, on its way to the scheduler, which keeps them.</summary>
/// <param name="JobId">As the creator calls the job.</param>
/// <param name="TraceId">32 hex digits.</param>
/// <param name="SpanId">16 hex digits.</param>
/// <param name="Service"><c>client gateway hub sidecar scheduler ledger agent</c>, or another app id.</param>
/// <param name="Attributes">Ids, states, sizes and counts only.</param>
public sealed record JobSpan(
    Guid JobId, Guid TenantId, string TraceId, string SpanId, string? ParentSpanId, string Service, string Name,
    DateTimeOffset StartedAt, double DurationMs, bool Failed, IReadOnlyDictionary<string, string> Attributes)
{
    private const int LongestValue = 100;
    private static readonly Dictionary<string, string> NoAttributes = [];

    /// <param name="process">The service of spans that ASP.NET Core makes; those of our sources are named by their source.</param>
    public static JobSpan Of(Activity activity, JobMark mark, string process) => new(
        mark.JobId, mark.TenantId, activity.TraceId.ToHexString(), activity.SpanId.ToHexString(),
        activity.ParentSpanId == default ? null : activity.ParentSpanId.ToHexString(),
        TelemetryNames.ServiceOf(activity.Source.Name) ?? process, activity.DisplayName,
        new DateTimeOffset(activity.StartTimeUtc), activity.Duration.TotalMilliseconds, activity.Status == ActivityStatusCode.Error, AttributesOf(activity));

    /// <summary>A list of what may be kept, not of what may not: a tag that someone adds one day is left out until it is put here.</summary>
    public static bool MayKeep(string attribute) =>
        attribute.StartsWith(TelemetryNames.AttributePrefix, StringComparison.Ordinal) || attribute is "http.response.status_code" or "error.type";

    private static Dictionary<string, string> AttributesOf(Activity activity)
    {
        Dictionary<string, string>? kept = null;
        foreach (ref readonly var tag in activity.EnumerateTagObjects())
        {
            if (MayKeep(tag.Key) && Convert.ToString(tag.Value, CultureInfo.InvariantCulture) is { Length: > 0 and <= LongestValue } value)
            {
                (kept ??= [])[tag.Key] = value;
            }
        }

        return kept ?? NoAttributes;
    }
}

/// <summary><c>POST /internal/spans</c> of the scheduler.</summary>
public sealed record JobSpanBatch(IReadOnlyList<JobSpan> Spans);
