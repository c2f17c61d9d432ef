using ActionCase = RenderTrust.TaskHubProtocol.WorkflowAction.WorkflowActionTypeOneofCase;
using EventCase = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace Dapr.Workflow.Worker.Replay;

/// <summary>An action in words, as the code asks for it and as the history holds it. Equal words mean the same action.</summary>
internal static class ActionText
{
    public static string Of(Wire.WorkflowAction action) => action.WorkflowActionTypeCase switch
    {
        ActionCase.ScheduleTask => Activity(action.ScheduleTask.Name),
        ActionCase.CreateChildWorkflow => Child(action.CreateChildWorkflow.Name),
        ActionCase.CreateTimer => Timer,
        ActionCase.SendEvent => Sent(action.SendEvent.Name, action.SendEvent.Instance.InstanceId),
        ActionCase.CompleteWorkflow => "continuing as new",
        _ => action.WorkflowActionTypeCase.ToString(),
    };

    public static string Of(Wire.HistoryEvent entry) => entry.EventTypeCase switch
    {
        EventCase.TaskScheduled => Activity(entry.TaskScheduled.Name),
        EventCase.ChildWorkflowInstanceCreated => Child(entry.ChildWorkflowInstanceCreated.Name),
        EventCase.TimerCreated => Timer,
        EventCase.EventSent => Sent(entry.EventSent.Name, entry.EventSent.InstanceId),
        _ => entry.EventTypeCase.ToString(),
    };

    private const string Timer = "a timer";

    private static string Activity(string name) => $"activity '{name}'";

    // Not the child's id: where none was given it is made up, and SDKs differ in how.
    private static string Child(string name) => $"child workflow '{name}'";

    private static string Sent(string name, string instanceId) => $"event '{name}' to '{instanceId}'";
}
