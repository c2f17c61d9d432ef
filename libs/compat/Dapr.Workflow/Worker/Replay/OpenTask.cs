using EventCase = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace Dapr.Workflow.Worker.Replay;

/// <summary>Something that the code may wait for and that one later history entry brings to an end.</summary>
/// <param name="what">In words, for the message of a failure.</param>
/// <param name="whenFired">Instead of ending the task: what a timer does that stands behind another wait.</param>
internal sealed class OpenTask(string what, Action? whenFired = null)
{
    // Continuations run inside SetResult, on the turn's own thread: that is what makes a turn one thread's work.
    private readonly TaskCompletionSource<string?> source = new();

    /// <summary>The result's JSON, or the failure.</summary>
    public Task<string?> Result => source.Task;

    public void Complete(Wire.HistoryEvent entry)
    {
        switch (entry.EventTypeCase)
        {
            case EventCase.TaskCompleted:
                source.TrySetResult(entry.TaskCompleted.Result);
                break;
            case EventCase.ChildWorkflowInstanceCompleted:
                source.TrySetResult(entry.ChildWorkflowInstanceCompleted.Result);
                break;
            case EventCase.TaskFailed:
                source.TrySetException(Failures.FromWire(what, entry.TaskFailed.FailureDetails));
                break;
            case EventCase.ChildWorkflowInstanceFailed:
                source.TrySetException(Failures.FromWire(what, entry.ChildWorkflowInstanceFailed.FailureDetails));
                break;
            case EventCase.TimerFired when whenFired is not null:
                whenFired();
                break;
            case EventCase.TimerFired:
                source.TrySetResult(null);
                break;
        }
    }

    public void Cancel(CancellationToken cancellationToken) => source.TrySetCanceled(cancellationToken);
}
