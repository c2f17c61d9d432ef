using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Reads the actions of one answer, in their order, and collects what they ask for.</summary>
internal sealed class ActionReader(TurnInput input)
{
    private readonly InstanceAddress self = input.Record.Address;

    public List<HistoryEvent> Events { get; } = [];
    public List<Beginning> Beginnings { get; } = [];
    public List<Outgoing> Outgoing { get; } = [];
    public List<HistoryEvent> OwnAnswers { get; } = [];
    public List<string> Ignored { get; } = [];
    public WorkflowAction? Completion { get; private set; }

    public void Read(WorkflowAction action)
    {
        switch (action.WorkflowActionTypeCase)
        {
            case WorkflowAction.WorkflowActionTypeOneofCase.ScheduleTask:
                Schedule(action, action.ScheduleTask);
                break;
            case WorkflowAction.WorkflowActionTypeOneofCase.CreateTimer:
                CreateTimer(action, action.CreateTimer);
                break;
            case WorkflowAction.WorkflowActionTypeOneofCase.CreateChildWorkflow:
                CreateChild(action, action.CreateChildWorkflow);
                break;
            case WorkflowAction.WorkflowActionTypeOneofCase.SendEvent:
                SendEvent(action, action.SendEvent);
                break;
            case WorkflowAction.WorkflowActionTypeOneofCase.CreateDetachedWorkflow:
                CreateDetached(action, action.CreateDetachedWorkflow);
                break;
            case WorkflowAction.WorkflowActionTypeOneofCase.TerminateWorkflow:
                Terminate(action, action.TerminateWorkflow);
                break;
            case WorkflowAction.WorkflowActionTypeOneofCase.CompleteWorkflow when Completion is null:
                Completion = action;
                break;
            default:
                Ignored.Add($"action {action.Id} of kind {action.WorkflowActionTypeCase}");
                break;
        }
    }

    private void Schedule(WorkflowAction action, ScheduleTaskAction task)
    {
        var scheduled = Add(action);
        scheduled.TaskScheduled = new TaskScheduledEvent
        {
            Name = task.Name,
            Version = task.Version,
            Input = task.Input,
            ParentTraceContext = input.Record.Started.ParentTraceContext,
            // The key under which the activity's effects are done once; it must not change when the task is given out again.
            TaskExecutionId = task.TaskExecutionId.Length > 0 ? task.TaskExecutionId : $"{input.Record.Key:N}-{input.Record.Generation}-{action.Id}",
        };
        if (task.HasHistoryPropagationScope)
        {
            scheduled.TaskScheduled.HistoryPropagationScope = task.HistoryPropagationScope;
        }

        if (NotReachable(action) is { } failure)
        {
            var failed = Wire.NewEvent(input.Now);
            failed.TaskFailed = new TaskFailedEvent { TaskScheduledId = action.Id, TaskExecutionId = scheduled.TaskScheduled.TaskExecutionId, FailureDetails = failure };
            OwnAnswers.Add(failed);
        }
    }

    private void CreateTimer(WorkflowAction action, CreateTimerAction timer)
    {
        var created = new TimerCreatedEvent { FireAt = timer.FireAt ?? Timestamp.FromDateTimeOffset(input.Now) };
        if (timer.HasName)
        {
            created.Name = timer.Name;
        }

        switch (timer.OriginCase)
        {
            case CreateTimerAction.OriginOneofCase.CreateTimer:
                created.CreateTimer = timer.CreateTimer;
                break;
            case CreateTimerAction.OriginOneofCase.ExternalEvent:
                created.ExternalEvent = timer.ExternalEvent;
                break;
            case CreateTimerAction.OriginOneofCase.ActivityRetry:
                created.ActivityRetry = timer.ActivityRetry;
                break;
            case CreateTimerAction.OriginOneofCase.ChildWorkflowRetry:
                created.ChildWorkflowRetry = timer.ChildWorkflowRetry;
                break;
        }

        Add(action).TimerCreated = created;
    }

    private void CreateChild(WorkflowAction action, CreateChildWorkflowAction child)
    {
        var id = child.InstanceId.Length > 0 ? child.InstanceId : $"{self.InstanceId}:{action.Id:x4}";
        var created = Add(action);
        created.ChildWorkflowInstanceCreated = new ChildWorkflowInstanceCreatedEvent
        {
            InstanceId = id,
            Name = child.Name,
            Version = child.Version,
            Input = child.Input,
            ParentTraceContext = input.Record.Started.ParentTraceContext,
            RetryParentInstanceInfo = child.RetryParentInstanceInfo,
        };
        if (child.HasHistoryPropagationScope)
        {
            created.ChildWorkflowInstanceCreated.HistoryPropagationScope = child.HistoryPropagationScope;
        }

        if ((NotReachable(action) ?? NotAnId(id)) is { } failure)
        {
            OwnAnswers.Add(ChildFailed(input.Now, action.Id, failure));
            return;
        }

        Beginnings.Add(BeginChild(input.Record, created, Target(action), input.Now));
    }

    /// <summary>The beginning that a recorded childWorkflowInstanceCreated stands for.</summary>
    public static Beginning BeginChild(InstanceRecord parent, HistoryEvent created, string targetApp, DateTimeOffset now)
    {
        var child = created.ChildWorkflowInstanceCreated;
        var start = Wire.NewEvent(now);
        start.ExecutionStarted = new ExecutionStartedEvent
        {
            Name = child.Name,
            Version = child.Version,
            Input = child.Input,
            WorkflowInstance = new WorkflowInstance { InstanceId = child.InstanceId, ExecutionId = Guid.CreateVersion7().ToString("N") },
            ParentTraceContext = child.ParentTraceContext,
            ParentInstance = new ParentInstanceInfo
            {
                TaskScheduledId = created.EventId,
                Name = parent.Started.Name,
                Version = parent.Started.Version,
                WorkflowInstance = new WorkflowInstance { InstanceId = parent.Address.InstanceId, ExecutionId = parent.Started.WorkflowInstance?.ExecutionId },
                AppID = parent.Address.AppId,
            },
        };
        return new Beginning
        {
            Address = new InstanceAddress(targetApp, child.InstanceId), Start = start, ParentTask = created.EventId,
            Propagation = child.HasHistoryPropagationScope ? child.HistoryPropagationScope : HistoryPropagationScope.None,
        };
    }

    private void SendEvent(WorkflowAction action, SendEventAction send)
    {
        var id = send.Instance?.InstanceId ?? "";
        Add(action).EventSent = new EventSentEvent { InstanceId = id, Name = send.Name, Input = send.Data };
        var raised = Wire.NewEvent(input.Now);
        raised.EventRaised = new EventRaisedEvent { Name = send.Name, Input = send.Data };
        Send(action, id, raised);
    }

    private void CreateDetached(WorkflowAction action, CreateDetachedWorkflowAction detached)
    {
        Add(action).DetachedWorkflowInstanceCreated = new DetachedWorkflowInstanceCreatedEvent { InstanceId = detached.InstanceId };
        if ((NotReachable(action) ?? NotAnId(detached.InstanceId)) is { } failure)
        {
            // Nobody waits for a detached workflow, so there is nobody to tell but the operator.
            Ignored.Add($"action {action.Id} starts detached workflow '{detached.InstanceId}': {failure.ErrorMessage}");
            return;
        }

        var start = Wire.NewEvent(input.Now);
        start.ExecutionStarted = new ExecutionStartedEvent
        {
            Name = detached.Name,
            Version = detached.Version,
            Input = detached.Input,
            WorkflowInstance = new WorkflowInstance
            {
                InstanceId = detached.InstanceId, ExecutionId = detached.ExecutionId is { Length: > 0 } given ? given : Guid.CreateVersion7().ToString("N"),
            },
            ScheduledStartTimestamp = detached.ScheduledStartTimestamp,
            ParentTraceContext = detached.ParentTraceContext,
            Tags = { detached.Tags },
        };
        Beginnings.Add(new Beginning
        {
            Address = new InstanceAddress(Target(action), detached.InstanceId), Start = start, ScheduledAt = Wire.Moment(detached.ScheduledStartTimestamp),
        });
    }

    private void Terminate(WorkflowAction action, TerminateWorkflowAction terminate)
    {
        var terminated = Wire.NewEvent(input.Now);
        terminated.ExecutionTerminated = new ExecutionTerminatedEvent { Input = terminate.Reason, Recurse = terminate.Recurse };
        Send(action, terminate.InstanceId, terminated);
    }

    private void Send(WorkflowAction action, string instanceId, HistoryEvent happened)
    {
        if ((NotReachable(action) ?? NotAnId(instanceId)) is { } failure)
        {
            Ignored.Add($"action {action.Id} is for instance '{instanceId}': {failure.ErrorMessage}");
            return;
        }

        Outgoing.Add(new Outgoing(new InstanceAddress(Target(action), instanceId), new Message(happened)));
    }

    public static HistoryEvent ChildFailed(DateTimeOffset now, int task, TaskFailureDetails failure)
    {
        var failed = Wire.NewEvent(now);
        failed.ChildWorkflowInstanceFailed = new ChildWorkflowInstanceFailedEvent { TaskScheduledId = task, FailureDetails = failure };
        return failed;
    }

    private HistoryEvent Add(WorkflowAction action)
    {
        var added = Wire.NewEvent(input.Now, action.Id);
        if (Target(action) is var target && target != self.AppId)
        {
            added.Router = new TaskRouter { SourceAppID = self.AppId, TargetAppID = target };
        }

        Events.Add(added);
        return added;
    }

    private string Target(WorkflowAction action) => action.Router is { HasTargetAppID: true, TargetAppID.Length: > 0 } router ? router.TargetAppID : self.AppId;

    private TaskFailureDetails? NotReachable(WorkflowAction action) => Target(action) is var target && input.IsReachable(target) ? null
        : TurnRules.Failure(TurnRules.NoSuchApp,
            $"App '{target}' is not served by this sidecar host with the same actor state store as {self.AppId}. Check the target app id in the call and in dapr.yaml.");

    private static TaskFailureDetails? NotAnId(string id) => InstanceIds.Problem(id) is { } problem ? TurnRules.Failure(TurnRules.InvalidInstanceId, problem) : null;
}
