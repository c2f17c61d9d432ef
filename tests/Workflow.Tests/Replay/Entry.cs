using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Workflow.Tests.Replay;

/// <summary>History entries, written by hand.</summary>
internal static class Entry
{
    public static readonly DateTime Noon = new(2031, 5, 6, 12, 0, 0, DateTimeKind.Utc);

    /// <summary>A turn begins, so many seconds after noon.</summary>
    public static HistoryEvent Turn(double seconds = 0, params string[] patches) => Outside(seconds, entry =>
        entry.WorkflowStarted = patches.Length == 0 ? new() : new() { Version = new WorkflowVersion { Patches = { patches } } });

    public static HistoryEvent Started(string? input = null, string executionId = "generation-1", string name = "W") => Outside(0, entry =>
        entry.ExecutionStarted = new() { Name = name, Input = input, WorkflowInstance = new() { InstanceId = "i", ExecutionId = executionId } });

    public static HistoryEvent Scheduled(int id, string activity) => Own(id, entry => entry.TaskScheduled = new() { Name = activity });

    public static HistoryEvent Done(int id, string? json = null) => Outside(0, entry => entry.TaskCompleted = new() { TaskScheduledId = id, Result = json });

    public static HistoryEvent Failed(int id, string message = "boom", string type = "System.InvalidOperationException") => Outside(0, entry =>
        entry.TaskFailed = new() { TaskScheduledId = id, FailureDetails = new() { ErrorType = type, ErrorMessage = message } });

    public static HistoryEvent TimerMade(int id) => Own(id, entry => entry.TimerCreated = new() { CreateTimer = new() });

    public static HistoryEvent EventTimerMade(int id, string name, Timestamp fireAt) => Own(id, entry =>
        entry.TimerCreated = new() { FireAt = fireAt, ExternalEvent = new() { Name = name } });

    public static HistoryEvent Fired(int id) => Outside(0, entry => entry.TimerFired = new() { TimerId = id });

    public static HistoryEvent ChildMade(int id, string name, string instanceId = "child") => Own(id, entry =>
        entry.ChildWorkflowInstanceCreated = new() { Name = name, InstanceId = instanceId });

    public static HistoryEvent ChildDone(int id, string? json = null) => Outside(0, entry =>
        entry.ChildWorkflowInstanceCompleted = new() { TaskScheduledId = id, Result = json });

    public static HistoryEvent ChildFailed(int id, string message = "boom") => Outside(0, entry =>
        entry.ChildWorkflowInstanceFailed = new() { TaskScheduledId = id, FailureDetails = new() { ErrorType = "Child", ErrorMessage = message } });

    public static HistoryEvent Raised(string name, string? json = null) => Outside(0, entry => entry.EventRaised = new() { Name = name, Input = json });

    public static HistoryEvent Sent(int id, string name, string to) => Own(id, entry => entry.EventSent = new() { Name = name, InstanceId = to });

    public static HistoryEvent Suspended() => Outside(0, entry => entry.ExecutionSuspended = new());

    public static HistoryEvent Resumed() => Outside(0, entry => entry.ExecutionResumed = new());

    public static HistoryEvent Terminated(string? json = null) => Outside(0, entry => entry.ExecutionTerminated = new() { Input = json });

    private static HistoryEvent Outside(double seconds, Action<HistoryEvent> fill) => Own(-1, fill, seconds);

    private static HistoryEvent Own(int id, Action<HistoryEvent> fill, double seconds = 0)
    {
        var entry = new HistoryEvent { EventId = id, Timestamp = Timestamp.FromDateTime(Noon.AddSeconds(seconds)) };
        fill(entry);
        return entry;
    }
}
