using System.Diagnostics;

namespace RenderTrust.Telemetry;

/// <summary>
/// Says which job a trace belongs to, in W3C <c>tracestate</c> as <c>rendertrust=JOB-TENANT</c> (two UUIDs without dashes). The gateway sets it once it knows
/// whose job a request brings, and takes it off whatever comes from outside; from there it travels with <c>traceparent</c>. What carries it is a job's span.
/// </summary>
/// <param name="JobId">As the creator calls the job.</param>
/// <param name="TenantId">Whose job it is.</param>
public readonly record struct JobMark(Guid JobId, Guid TenantId)
{
    private const string Key = "rendertrust=";
    private const int IdLength = 32;

    public override string ToString() => $"{Key}{JobId:N}-{TenantId:N}";

    /// <summary>Of the activity that is current; null outside of a job's trace.</summary>
    public static JobMark? Current => Activity.Current is { } activity && TryRead(activity.TraceStateString, out var mark) ? mark : null;

    public static bool TryRead(string? traceState, out JobMark mark)
    {
        mark = default;
        if (Find(traceState) is not { } at)
        {
            return false;
        }

        var value = traceState.AsSpan(at + Key.Length);
        if (value.Length < (2 * IdLength) + 1 || value[IdLength] != '-'
            || !Guid.TryParseExact(value[..IdLength], "N", out var job) || !Guid.TryParseExact(value.Slice(IdLength + 1, IdLength), "N", out var tenant))
        {
            return false;
        }

        mark = new JobMark(job, tenant);
        return true;
    }

    /// <summary>The same state without our entry; null when nothing is left.</summary>
    public static string? RemoveFrom(string? traceState)
    {
        if (Find(traceState) is null)
        {
            return traceState;
        }

        var others = traceState!.Split(',').Where(entry => !entry.TrimStart().StartsWith(Key, StringComparison.Ordinal));
        return string.Join(',', others) is { Length: > 0 } left ? left : null;
    }

    /// <summary>The same state with this mark in front, as the standard asks of who changes an entry.</summary>
    public string AddTo(string? traceState) => RemoveFrom(traceState) is { } others ? $"{this},{others}" : ToString();

    /// <summary>A remote parent whose children are spans of this job; null when <paramref name="traceParent"/> is none.</summary>
    public ActivityContext? Parent(string? traceParent) =>
        ActivityContext.TryParse(traceParent, ToString(), isRemote: true, out var context) ? context : null;

    private static int? Find(string? traceState)
    {
        if (traceState is null)
        {
            return null;
        }

        var at = traceState.IndexOf(Key, StringComparison.Ordinal);
        return at == 0 || (at > 0 && traceState[at - 1] is ',' or ' ') ? at : null;
    }
}
