using Dapr.Common.Serialization;
using Microsoft.Extensions.Logging;

namespace Dapr.Workflow.Worker.Replay;

/// <summary>The context of one turn. Every member that asks for something must be called on the turn's thread while the turn lasts.</summary>
internal sealed partial class ReplayContext(
    string name, string instanceId, Guid idSpace, PropagatedHistory? propagated, IDaprSerializer serializer, ILoggerFactory loggers, Action<ForeignWaitException> onForeign) : WorkflowContext
{
    private bool replaying = true;
    private DateTime now;
    private int guids;
    private string? customStatus;

    public override string Name => name;

    public override string InstanceId => instanceId;

    public override DateTime CurrentUtcDateTime => now;

    public override bool IsReplaying => replaying;

    public ActionLog Actions { get; } = new();

    public ExternalEvents Events { get; } = new();

    public Patches Patches { get; } = new();

    /// <summary>The custom status's JSON, or null.</summary>
    public string? CustomStatus => customStatus;

    /// <summary>The next generation's input and whether events go along, once asked for.</summary>
    public (Wire.WorkflowAction Action, bool KeepEvents)? NextGeneration { get; private set; }

    /// <summary>A turn begins in the history, or the present one.</summary>
    public void BeginTurn(Wire.HistoryEvent entry)
    {
        now = entry.Timestamp.ToDateTime();
        Patches.Record(entry.WorkflowStarted);
    }

    public void Replaying(bool value) => replaying = value;

    public override bool IsPatched(string patchName)
    {
        Enter(nameof(IsPatched));
        ArgumentException.ThrowIfNullOrWhiteSpace(patchName);
        return Patches.IsTaken(patchName, replaying);
    }

    public override async Task<T> CallActivityAsync<T>(string name, object? input = null, WorkflowTaskOptions? options = null)
    {
        Enter(nameof(CallActivityAsync));
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var json = serializer.Serialize(input);
        // One id for all tries of one call: an effect keyed by it is done once, however often the call is repeated.
        var executionId = NamedGuid.Create(idSpace, $"{instanceId}|activity|{Actions.Next}|{name}").ToString("N");
        var result = await TryAsync(
            () => new Wire.WorkflowAction { ScheduleTask = ScheduleTask(name, json, executionId, options), Router = Router(options) },
            $"activity '{name}'",
            options?.RetryPolicy,
            timer => timer.ActivityRetry = new Wire.TimerOriginActivityRetry { TaskExecutionId = executionId });
        return Read<T>(result);
    }

    public override async Task<TResult> CallChildWorkflowAsync<TResult>(string workflowName, object? input = null, ChildWorkflowTaskOptions? options = null)
    {
        Enter(nameof(CallChildWorkflowAsync));
        ArgumentException.ThrowIfNullOrWhiteSpace(workflowName);
        var json = serializer.Serialize(input);
        string? firstId = null;
        var result = await TryAsync(
            () =>
            {
                var childId = string.IsNullOrEmpty(options?.InstanceId) ? NewGuid().ToString() : options.InstanceId;
                firstId ??= childId;
                return new Wire.WorkflowAction { CreateChildWorkflow = CreateChild(workflowName, childId, json, options), Router = Router(options) };
            },
            $"child workflow '{workflowName}'",
            options?.RetryPolicy,
            timer => timer.ChildWorkflowRetry = new Wire.TimerOriginChildWorkflowRetry { InstanceId = firstId });
        return Read<TResult>(result);
    }

    public override async Task CreateTimer(DateTime fireAt, CancellationToken cancellationToken)
    {
        Enter(nameof(CreateTimer));
        cancellationToken.ThrowIfCancellationRequested();
        var timer = StartTimer(fireAt, action => action.CreateTimer = new Wire.TimerOriginCreateTimer());
        using var registration = cancellationToken.Register(() =>
        {
            // Not Enter: an exception in a token's callback would end the process if a clock cancelled it.
            if (IsOnTurn("a timer was cancelled"))
            {
                Actions.Abandon(timer);
                timer.Cancel(cancellationToken);
            }
        });
        await timer.Result;
    }

    public override async Task<T> WaitForExternalEventAsync<T>(string eventName, CancellationToken cancellationToken = default)
    {
        Enter(nameof(WaitForExternalEventAsync));
        ArgumentException.ThrowIfNullOrWhiteSpace(eventName);
        if (Events.TryTake(eventName, out var payload))
        {
            return Read<T>(payload);
        }

        cancellationToken.ThrowIfCancellationRequested();
        var waiter = Events.Wait(eventName);
        using var registration = cancellationToken.Register(() =>
        {
            if (IsOnTurn("a wait for an event was cancelled"))
            {
                Events.GiveUp(eventName, waiter, cancellationToken);
            }
        });
        return Read<T>(await waiter.Task);
    }

    public override async Task<T> WaitForExternalEventAsync<T>(string eventName, TimeSpan timeout)
    {
        Enter(nameof(WaitForExternalEventAsync));
        ArgumentException.ThrowIfNullOrWhiteSpace(eventName);
        if (Events.TryTake(eventName, out var payload))
        {
            return Read<T>(payload);
        }

        if (timeout == TimeSpan.Zero)
        {
            throw new TaskCanceledException($"There is no event '{eventName}', and the wait for it was to take no time.");
        }

        var waiter = Events.Wait(eventName);
        var timer = StartTimer(
            timeout < TimeSpan.Zero ? null : now.Add(timeout),
            action => action.ExternalEvent = new Wire.TimerOriginExternalEvent { Name = eventName },
            () => Events.GiveUp(eventName, waiter, CancellationToken.None));
        var json = await waiter.Task;
        Actions.Abandon(timer);
        return Read<T>(json);
    }

    public override void SendEvent(string instanceId, string eventName, object payload)
    {
        Enter(nameof(SendEvent));
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        ArgumentException.ThrowIfNullOrWhiteSpace(eventName);
        Actions.Add(new Wire.WorkflowAction
        {
            SendEvent = new Wire.SendEventAction { Instance = new Wire.WorkflowInstance { InstanceId = instanceId }, Name = eventName, Data = serializer.Serialize(payload) },
        });
    }

    public override void SetCustomStatus(object? customStatus)
    {
        Enter(nameof(SetCustomStatus));
        this.customStatus = customStatus is null ? null : serializer.Serialize(customStatus);
    }

    public override void ContinueAsNew(object? newInput = null, bool preserveUnprocessedEvents = true)
    {
        Enter(nameof(ContinueAsNew));
        var action = new Wire.WorkflowAction
        {
            CompleteWorkflow = new Wire.CompleteWorkflowAction { WorkflowStatus = Wire.OrchestrationStatus.ContinuedAsNew, Result = serializer.Serialize(newInput) },
        };
        Actions.Add(action);
        NextGeneration = (action, preserveUnprocessedEvents);
    }

    public override Guid NewGuid()
    {
        Enter(nameof(NewGuid));
        return NamedGuid.Create(idSpace, $"{instanceId}|guid|{guids++}");
    }

    public override PropagatedHistory? GetPropagatedHistory() => propagated;

    public override ILogger CreateReplaySafeLogger(string categoryName) => new ReplaySafeLogger(loggers.CreateLogger(categoryName), this);

    public override ILogger CreateReplaySafeLogger(Type type) => new ReplaySafeLogger(loggers.CreateLogger(type), this);

    public override ILogger CreateReplaySafeLogger<T>() => CreateReplaySafeLogger(typeof(T));
}
