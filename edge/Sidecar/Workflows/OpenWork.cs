using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>
/// What an instance waits for, as its history and inbox tell it: activities, timers and children that have not answered.
/// Applying the same events always gives the same result, so nothing of it needs storing.
/// </summary>
internal sealed class OpenWork
{
    private readonly Dictionary<int, HistoryEvent> tasks = [];
    private readonly SortedDictionary<int, HistoryEvent> timers = [];
    private readonly HashSet<int> children = [];

    public IReadOnlyCollection<HistoryEvent> Tasks => tasks.Values;
    public IReadOnlyCollection<HistoryEvent> Timers => timers.Values;

    public HistoryEvent? Task(int id) => tasks.GetValueOrDefault(id);

    public HistoryEvent? Timer(int id) => timers.GetValueOrDefault(id);

    /// <summary>The earliest moment at which a timer is due.</summary>
    public DateTimeOffset? NextTimerAt =>
        timers.Count == 0 ? null : timers.Values.Min(FireAt) is var next && next < Wire.Never ? next : null;

    public static DateTimeOffset FireAt(HistoryEvent timer) => Wire.Moment(timer.TimerCreated.FireAt) ?? DateTimeOffset.MinValue;

    /// <summary>False for an answer that nobody waits for: it came before, or belongs to something else.</summary>
    public bool Apply(HistoryEvent happened)
    {
        switch (happened.EventTypeCase)
        {
            case HistoryEvent.EventTypeOneofCase.TaskScheduled:
                tasks[happened.EventId] = happened;
                return true;
            case HistoryEvent.EventTypeOneofCase.TimerCreated:
                timers[happened.EventId] = happened;
                return true;
            case HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCreated:
                children.Add(happened.EventId);
                return true;
            case HistoryEvent.EventTypeOneofCase.TaskCompleted:
                return tasks.Remove(happened.TaskCompleted.TaskScheduledId);
            case HistoryEvent.EventTypeOneofCase.TaskFailed:
                return tasks.Remove(happened.TaskFailed.TaskScheduledId);
            case HistoryEvent.EventTypeOneofCase.TimerFired:
                return timers.Remove(happened.TimerFired.TimerId);
            case HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCompleted:
                return children.Remove(happened.ChildWorkflowInstanceCompleted.TaskScheduledId);
            case HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceFailed:
                return children.Remove(happened.ChildWorkflowInstanceFailed.TaskScheduledId);
            case HistoryEvent.EventTypeOneofCase.EventRaised:
                EndWait(happened.EventRaised.Name);
                return true;
            default:
                return true;
        }
    }

    /// <summary>Whether a task, timer or child that was asked for has not answered.</summary>
    public bool IsWaitedFor(HistoryEvent asked) => asked.EventTypeCase switch
    {
        HistoryEvent.EventTypeOneofCase.TaskScheduled => tasks.ContainsKey(asked.EventId),
        HistoryEvent.EventTypeOneofCase.TimerCreated => timers.ContainsKey(asked.EventId),
        HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCreated => children.Contains(asked.EventId),
        _ => false,
    };

    /// <summary>Whether <see cref="Apply"/> would accept an answer, without taking it.</summary>
    public bool Wants(HistoryEvent answer) => answer.EventTypeCase switch
    {
        HistoryEvent.EventTypeOneofCase.TaskCompleted => tasks.ContainsKey(answer.TaskCompleted.TaskScheduledId),
        HistoryEvent.EventTypeOneofCase.TaskFailed => tasks.ContainsKey(answer.TaskFailed.TaskScheduledId),
        HistoryEvent.EventTypeOneofCase.TimerFired => timers.ContainsKey(answer.TimerFired.TimerId),
        HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCompleted => children.Contains(answer.ChildWorkflowInstanceCompleted.TaskScheduledId),
        HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceFailed => children.Contains(answer.ChildWorkflowInstanceFailed.TaskScheduledId),
        _ => true,
    };

    // The time limit of a wait goes away with the wait: the oldest one of that name, as daprd chooses it.
    private void EndWait(string eventName)
    {
        foreach (var (id, timer) in timers)
        {
            if (timer.TimerCreated.OriginCase == TimerCreatedEvent.OriginOneofCase.ExternalEvent
                && timer.TimerCreated.ExternalEvent.Name.Equals(eventName, StringComparison.OrdinalIgnoreCase))
            {
                timers.Remove(id);
                return;
            }
        }
    }
}
