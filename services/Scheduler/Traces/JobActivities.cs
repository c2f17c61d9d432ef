using System.Diagnostics;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Traces;

/// <summary>Where the trace of a job goes on when work on it is begun by nobody's request.</summary>
/// <param name="Parent">W3C traceparent of the span that accepted the job.</param>
internal sealed record JobTraceRoot(JobMark Mark, string Parent);

/// <summary>Begins the scheduler's spans of a job. Each is null, and costs nothing, where the job's trace is not kept.</summary>
internal sealed class JobActivities(IOptions<TraceOptions> options)
{
    private static readonly ActivitySource Scheduler = new(TelemetryNames.SourcePrefix + "Scheduler");

    // What the scheduler asks of the ledger happens in the ledger's own SQL functions, inside the scheduler's transaction.
    private static readonly ActivitySource Ledger = new(TelemetryNames.SourcePrefix + "Ledger");

    /// <summary>For <c>jobs.trace_parent</c>: the current span, if it is one of this very job's.</summary>
    public static string? ParentToKeep(JobId clientJobId, TenantId tenantId) =>
        JobMark.Current == new JobMark(clientJobId.Value, tenantId.Value) && Activity.Current is { Recorded: true } activity ? activity.Id : null;

    public bool Traces(int unitIndex) => unitIndex < options.Value.Units;

    /// <summary>Part of what is under way.</summary>
    public static Activity? Begin(string name) => JobMark.Current is null ? null : Scheduler.StartActivity(name);

    public static Activity? BeginLedger(string name) => JobMark.Current is null ? null : Ledger.StartActivity(name, ActivityKind.Client);

    /// <summary>Work that a loop does for the job as a whole.</summary>
    /// <param name="startedAt">When it began, if that was earlier than now.</param>
    public static Activity? Begin(string name, JobTraceRoot? root, DateTimeOffset startedAt = default) =>
        root is not null && root.Mark.Parent(root.Parent) is { } parent ? Scheduler.StartActivity(name, ActivityKind.Internal, parent, startTime: startedAt) : null;

    public Activity? BeginUnit(string name, JobTraceRoot? root, int unitIndex, DateTimeOffset startedAt)
    {
        var span = Traces(unitIndex) ? Begin(name, root, startedAt) : null;
        return span?.SetTag(TelemetryNames.UnitIndex, unitIndex);
    }
}
