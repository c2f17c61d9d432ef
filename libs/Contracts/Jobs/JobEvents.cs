using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>Status of a job; the only one that A2A states are mapped from.</summary>
public enum JobStatus
{
    Submitted,
    Running,
    Completed,
    Failed,
    Canceled,
}

/// <summary>What one entry of <c>scheduler.job_events</c> says.</summary>
public enum JobEventKind
{
    Unknown,
    Submitted,
    UnitLeased,
    UnitProgress,
    UnitCompleted,
    UnitFailed,
    StatusChanged,
}

/// <summary>One entry of a job's log: <paramref name="Seq"/> counts from 1 without gaps within the job.</summary>
/// <param name="Cursor">Opaque position in the whole log, for the tail.</param>
public sealed record JobEvent(
    TaskId TaskId,
    JobId JobId,
    TenantId TenantId,
    string ContextId,
    long Seq,
    [property: JsonConverter(typeof(UnknownEnumConverter<JobEventKind>))] JobEventKind Kind,
    DateTimeOffset At,
    JobEventBody Body);

/// <summary>Body of an event; which members are set follows from the kind.</summary>
/// <param name="Reason">Why a status or unit changed, in words for the creator.</param>
/// <param name="ResultReceivedAt">When the node's result frame arrived at the hub: start of the <c>return</c> budget.</param>
public sealed record JobEventBody(
    JobStatus? Status = null,
    string? Reason = null,
    int? UnitIndex = null,
    int? UnitCount = null,
    int? UnitsCompleted = null,
    int? UnitsFailed = null,
    double? Progress = null,
    NodeId? NodeId = null,
    string? NodeName = null,
    AttemptId? AttemptId = null,
    int? AttemptNumber = null,
    string? FailureClass = null,
    long? ChargedMicrocredits = null,
    IReadOnlyList<UnitOutput>? Outputs = null,
    DateTimeOffset? ResultReceivedAt = null);

/// <summary>Answer of <c>GET /internal/job-events?cursor=&amp;limit=&amp;waitSeconds=</c>: the tail over all jobs.</summary>
/// <param name="Cursor">Send this back to go on after the last event.</param>
public sealed record JobEventPage(IReadOnlyList<JobEvent> Events, string Cursor);

/// <summary>Answer of <c>GET /internal/tasks/{taskId}?tenantId=</c>: the whole log of one job, oldest first.</summary>
public sealed record TaskLog(TaskId TaskId, JobId JobId, string ContextId, JobStatus Status, IReadOnlyList<JobEvent> Events);

/// <summary><c>POST /internal/tasks/{taskId}/cancel</c>.</summary>
public sealed record CancelTaskRequest(TenantId TenantId, string Reason);

public enum CancelOutcome
{
    Canceled,
    UnknownTask,
    AlreadyEnded,
}

public sealed record CancelTaskResponse(CancelOutcome Outcome, TaskLog? Task);

/// <summary>Server-side budget figures handed over in batches: <c>POST /internal/timings</c>.</summary>
public sealed record TimingBatch(IReadOnlyList<Timing> Timings);

/// <param name="Name"><c>submit</c>, <c>dispatch</c>, <c>return</c> or <c>ledgerHandover</c> (architecture, budget).</param>
/// <param name="UnitIndex">Of which unit; absent for the job as a whole.</param>
public sealed record Timing(TaskId TaskId, string Name, double Milliseconds, int? UnitIndex = null);
