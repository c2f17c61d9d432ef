namespace Dapr.Workflow.Client;

/// <summary>One entry of an instance's history.</summary>
/// <param name="EventId">The number of the action that caused it; -1 when its cause lies outside the workflow.</param>
/// <param name="EventType">What happened.</param>
/// <param name="Timestamp">When, UTC.</param>
public sealed record WorkflowHistoryEvent(int EventId, WorkflowHistoryEventType EventType, DateTime Timestamp);
