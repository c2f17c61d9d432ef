using EventCase = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace Dapr.Workflow.Client;

/// <summary>History entries of the wire in the words of the public type.</summary>
internal static class HistoryEvents
{
    public static WorkflowHistoryEvent ToPublic(Wire.HistoryEvent entry) =>
        new(entry.EventId, TypeOf(entry.EventTypeCase), entry.Timestamp?.ToDateTime() ?? default);

    private static WorkflowHistoryEventType TypeOf(EventCase type) => type switch
    {
        EventCase.ExecutionStarted => WorkflowHistoryEventType.ExecutionStarted,
        EventCase.ExecutionCompleted => WorkflowHistoryEventType.ExecutionCompleted,
        EventCase.ExecutionTerminated => WorkflowHistoryEventType.ExecutionTerminated,
        EventCase.TaskScheduled => WorkflowHistoryEventType.TaskScheduled,
        EventCase.TaskCompleted => WorkflowHistoryEventType.TaskCompleted,
        EventCase.TaskFailed => WorkflowHistoryEventType.TaskFailed,
        EventCase.ChildWorkflowInstanceCreated => WorkflowHistoryEventType.SubOrchestrationInstanceCreated,
        EventCase.ChildWorkflowInstanceCompleted => WorkflowHistoryEventType.SubOrchestrationInstanceCompleted,
        EventCase.ChildWorkflowInstanceFailed => WorkflowHistoryEventType.SubOrchestrationInstanceFailed,
        EventCase.TimerCreated => WorkflowHistoryEventType.TimerCreated,
        EventCase.TimerFired => WorkflowHistoryEventType.TimerFired,
        EventCase.WorkflowStarted => WorkflowHistoryEventType.OrchestratorStarted,
        EventCase.WorkflowCompleted => WorkflowHistoryEventType.OrchestratorCompleted,
        EventCase.EventSent => WorkflowHistoryEventType.EventSent,
        EventCase.EventRaised => WorkflowHistoryEventType.EventRaised,
        EventCase.ContinueAsNew => WorkflowHistoryEventType.ContinueAsNew,
        EventCase.ExecutionSuspended => WorkflowHistoryEventType.ExecutionSuspended,
        EventCase.ExecutionResumed => WorkflowHistoryEventType.ExecutionResumed,
        EventCase.ExecutionStalled => WorkflowHistoryEventType.ExecutionStalled,
        _ => WorkflowHistoryEventType.Unknown,
    };
}
