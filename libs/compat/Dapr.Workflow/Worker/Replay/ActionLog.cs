using Google.Protobuf.WellKnownTypes;

namespace Dapr.Workflow.Worker.Replay;

/// <summary>
/// Numbers the actions in code order, strikes off those that the history holds, and ends the tasks that they opened. What is left when the
/// history is used up is what this turn asks for.
/// </summary>
internal sealed class ActionLog
{
    /// <summary>A wait without limit, as a timer's time. Workers of older releases made no timer for such a wait.</summary>
    public static readonly Timestamp Forever = new() { Seconds = 253402300799, Nanos = 999999999 };

    private readonly SortedDictionary<int, Wire.WorkflowAction> pending = [];
    private readonly Dictionary<int, OpenTask> open = [];
    private readonly Dictionary<int, Wire.HistoryEvent> early = [];
    private int next;

    /// <summary>What this turn asks for so far, by number.</summary>
    public IReadOnlyCollection<Wire.WorkflowAction> Pending => pending.Values;

    /// <summary>Whether some later history entry can make the code go on.</summary>
    public bool AnyOpen => open.Count > 0;

    /// <summary>The number that the next action will have.</summary>
    public int Next => next;

    public void Add(Wire.WorkflowAction action, OpenTask? task = null)
    {
        action.Id = next++;
        pending.Add(action.Id, action);
        if (task is null)
        {
            return;
        }

        if (early.Remove(action.Id, out var entry))
        {
            task.Complete(entry);
        }
        else
        {
            open.Add(action.Id, task);
        }
    }

    /// <summary>The history holds an action: the code must have asked for the same one, under the same number.</summary>
    public void Confirm(Wire.HistoryEvent entry)
    {
        var action = pending.GetValueOrDefault(entry.EventId);
        if (action is not null && IsForever(action) && !IsForever(entry))
        {
            Drop(entry.EventId);
            action = pending.GetValueOrDefault(entry.EventId);
        }

        var (expected, found) = (ActionText.Of(entry), action is null ? null : ActionText.Of(action));
        if (expected != found)
        {
            throw new NonDeterministicWorkflowException(entry.EventId, expected, found);
        }

        pending.Remove(entry.EventId);
    }

    /// <summary>The history holds the end of a task; kept if the code has not opened it yet.</summary>
    public void Complete(int actionId, Wire.HistoryEvent entry)
    {
        if (open.Remove(actionId, out var task))
        {
            task.Complete(entry);
        }
        else
        {
            early[actionId] = entry;
        }
    }

    /// <summary>Nobody waits for the task any more; its end will go unheard.</summary>
    public void Abandon(OpenTask task)
    {
        foreach (var (id, _) in open.Where(pair => pair.Value == task).ToList())
        {
            open.Remove(id);
        }
    }

    private static bool IsForever(Wire.WorkflowAction action) =>
        action.CreateTimer is { OriginCase: Wire.CreateTimerAction.OriginOneofCase.ExternalEvent } timer && Forever.Equals(timer.FireAt);

    private static bool IsForever(Wire.HistoryEvent entry) =>
        entry.TimerCreated is { OriginCase: Wire.TimerCreatedEvent.OriginOneofCase.ExternalEvent } timer && Forever.Equals(timer.FireAt);

    // The history was made without this timer, so everything after it was numbered one lower.
    private void Drop(int actionId)
    {
        pending.Remove(actionId);
        open.Remove(actionId);
        next--;
        foreach (var id in pending.Keys.Where(id => id > actionId).ToList())
        {
            pending.Remove(id, out var action);
            action!.Id = id - 1;
            pending.Add(id - 1, action);
        }

        foreach (var id in open.Keys.Where(id => id > actionId).Order().ToList())
        {
            open.Remove(id, out var task);
            open.Add(id - 1, task!);
        }
    }
}
