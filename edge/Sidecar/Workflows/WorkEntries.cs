using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Something for a worker to do, waiting in an app's queue or given to one of its streams.</summary>
internal abstract class WorkEntry
{
    /// <summary>The stream that it was given to.</summary>
    public WorkerStream? Stream { get; set; }

    /// <summary>Answered, or no longer wanted.</summary>
    public bool IsOver { get; set; }

    public abstract WorkItem ToWire();
}

/// <summary>One turn. What is new in it stays the same however often it is given out, so that any answer to it fits.</summary>
internal sealed class TurnEntry(LiveInstance instance, IReadOnlyList<HistoryEvent> newEvents, IReadOnlyList<Message> taken) : WorkEntry
{
    public LiveInstance Instance => instance;
    public IReadOnlyList<HistoryEvent> NewEvents => newEvents;
    public IReadOnlyList<Message> Taken => taken;
    public bool IsAnswered { get; set; }

    /// <summary>A late answer to an earlier turn must not pass for one to this. Workers give it back as they got it.</summary>
    public string Token { get; } = Guid.CreateVersion7().ToString("N");

    public override WorkItem ToWire() => new()
    {
        CompletionToken = Token,
        WorkflowRequest = new WorkflowRequest
        {
            InstanceId = instance.Record.Address.InstanceId,
            ExecutionId = instance.Record.Started.WorkflowInstance?.ExecutionId,
            PastEvents = { instance.History },
            NewEvents = { newEvents },
            PropagatedHistory = instance.Record.Propagated is { } propagated ? PropagatedHistory.Parser.ParseFrom(propagated) : null,
        },
    };
}

/// <summary>One activity. Its instance may have left memory meanwhile, so it carries what an answer needs.</summary>
internal sealed class ActivityEntry(InstanceRecord parent, HistoryEvent scheduled, PropagatedHistory? propagated) : WorkEntry
{
    public InstanceAddress Parent => parent.Address;
    public Guid ParentKey => parent.Key;
    public long Generation => parent.Generation;
    public HistoryEvent Scheduled => scheduled;
    public (string InstanceId, int TaskId) Id => (parent.Address.InstanceId, scheduled.EventId);
    public string Token => $"{parent.Key:N}.{parent.Generation}.{scheduled.EventId}";

    public override WorkItem ToWire() => new()
    {
        CompletionToken = Token,
        ActivityRequest = new ActivityRequest
        {
            Name = scheduled.TaskScheduled.Name,
            Version = scheduled.TaskScheduled.Version,
            Input = scheduled.TaskScheduled.Input,
            WorkflowInstance = new WorkflowInstance { InstanceId = parent.Address.InstanceId, ExecutionId = parent.Started.WorkflowInstance?.ExecutionId },
            TaskId = scheduled.EventId,
            ParentTraceContext = scheduled.TaskScheduled.ParentTraceContext,
            TaskExecutionId = scheduled.TaskScheduled.TaskExecutionId,
            PropagatedHistory = propagated,
        },
    };

    /// <summary>The event that an answer to this activity makes.</summary>
    public HistoryEvent ToEvent(ActivityResponse response, DateTimeOffset now)
    {
        var answer = new HistoryEvent { EventId = Wire.NoAction, Timestamp = Timestamp.FromDateTimeOffset(now) };
        if (response.FailureDetails is { } failure)
        {
            answer.TaskFailed = new TaskFailedEvent { TaskScheduledId = scheduled.EventId, TaskExecutionId = scheduled.TaskScheduled.TaskExecutionId, FailureDetails = failure };
        }
        else
        {
            answer.TaskCompleted = new TaskCompletedEvent { TaskScheduledId = scheduled.EventId, TaskExecutionId = scheduled.TaskScheduled.TaskExecutionId, Result = response.Result };
        }

        return answer;
    }
}
