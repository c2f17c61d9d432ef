using Google.Protobuf.WellKnownTypes;

namespace Dapr.Workflow.Worker.Replay;

/// <content>How calls become actions, and who may make them.</content>
internal sealed partial class ReplayContext
{
    private readonly int threadId = Environment.CurrentManagedThreadId;
    private volatile bool closed;

    /// <summary>The first use from another thread or after the turn, if any.</summary>
    public ForeignWaitException? Foreign { get; private set; }

    /// <summary>The turn is over: what is left of the code must not go on.</summary>
    public void Close() => closed = true;

    private async Task<string?> TryAsync(Func<Wire.WorkflowAction> call, string what, WorkflowRetryPolicy? policy, Action<Wire.CreateTimerAction> setOrigin)
    {
        var firstAttempt = now;
        for (var attempts = 1; ; attempts++)
        {
            var task = new OpenTask(what);
            Actions.Add(call(), task);
            TimeSpan delay;
            try
            {
                return await task.Result;
            }
            catch (WorkflowTaskFailedException)
            {
                if (policy is null || RetryRules.Delay(policy, attempts, firstAttempt, now) is not { } wait)
                {
                    throw;
                }

                delay = wait;
            }

            await StartTimer(now.Add(delay), setOrigin).Result;
        }
    }

    private OpenTask StartTimer(DateTime? fireAt, Action<Wire.CreateTimerAction> setOrigin, Action? whenFired = null)
    {
        var action = new Wire.CreateTimerAction { FireAt = fireAt is { } at ? Timestamp.FromDateTime(Utc(at)) : ActionLog.Forever };
        setOrigin(action);
        var task = new OpenTask("timer", whenFired);
        Actions.Add(new Wire.WorkflowAction { CreateTimer = action }, task);
        return task;
    }

    private static DateTime Utc(DateTime time) => time.Kind == DateTimeKind.Unspecified ? DateTime.SpecifyKind(time, DateTimeKind.Utc) : time.ToUniversalTime();

    private static Wire.ScheduleTaskAction ScheduleTask(string name, string json, string executionId, WorkflowTaskOptions? options)
    {
        var action = new Wire.ScheduleTaskAction { Name = name, Input = json, TaskExecutionId = executionId };
        if (options is { PropagationScope: not HistoryPropagationScope.None })
        {
            action.HistoryPropagationScope = (Wire.HistoryPropagationScope)options.PropagationScope;
        }

        return action;
    }

    private static Wire.CreateChildWorkflowAction CreateChild(string name, string instanceId, string json, ChildWorkflowTaskOptions? options)
    {
        var action = new Wire.CreateChildWorkflowAction { Name = name, InstanceId = instanceId, Input = json };
        if (options is { PropagationScope: not HistoryPropagationScope.None })
        {
            action.HistoryPropagationScope = (Wire.HistoryPropagationScope)options.PropagationScope;
        }

        return action;
    }

    private static Wire.TaskRouter? Router(WorkflowTaskOptions? options) =>
        string.IsNullOrEmpty(options?.TargetAppId) ? null : new Wire.TaskRouter { TargetAppID = options.TargetAppId };

    private T Read<T>(string? json) => string.IsNullOrEmpty(json) ? default! : serializer.Deserialize<T>(json)!;

    private void Enter(string member)
    {
        if (!IsOnTurn($"{member} was called"))
        {
            throw Foreign!;
        }
    }

    private bool IsOnTurn(string what)
    {
        if (!closed && Environment.CurrentManagedThreadId == threadId)
        {
            return true;
        }

        Foreign ??= new ForeignWaitException($"In workflow '{name}', instance '{instanceId}', {what} from another thread than the turn's{(closed ? ", after the turn's end" : "")}.");
        onForeign(Foreign);
        return false;
    }
}
