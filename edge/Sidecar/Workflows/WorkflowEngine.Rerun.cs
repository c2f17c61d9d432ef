using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>A new instance that repeats an ended one from one of its tasks, timers or children on.</summary>
internal sealed partial class WorkflowEngine
{
    /// <returns>The new instance's id.</returns>
    public async Task<string> RerunAsync(string appId, RerunWorkflowFromEventRequest request, CancellationToken cancellationToken)
    {
        var source = Address(appId, request.SourceInstanceID);
        var target = Address(appId, request.HasNewInstanceID ? request.NewInstanceID : Guid.CreateVersion7().ToString());
        if (target == source)
        {
            throw WorkflowError.Invalid($"The new instance would have the source's id '{source.InstanceId}'. Give another id, or none.");
        }

        var record = await store.FindAsync(source, cancellationToken) ?? throw WorkflowError.NotFound(source);
        if (!record.IsTerminal)
        {
            throw WorkflowError.Invalid($"Workflow '{source.InstanceId}' is {record.Status} and has not ended. Rerun it after its end.");
        }

        if (record.Parent is not null)
        {
            throw WorkflowError.Invalid($"Workflow '{source.InstanceId}' is a child. Rerun its parent '{record.Started.ParentInstance?.WorkflowInstance?.InstanceId}'.");
        }

        var now = time.GetUtcNow();
        var history = RerunRules.Build(await store.ReadHistoryAsync(record.Key, cancellationToken), target, request, now);
        var start = history.First(happened => happened.EventTypeCase == HistoryEvent.EventTypeOneofCase.ExecutionStarted);
        var again = NewRecord(new Beginning { Address = target, Start = start }, now) with { Status = OrchestrationStatus.Running, StartedAt = now };
        var children = history.Where(happened => happened.EventTypeCase == HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCreated && happened.ChildWorkflowInstanceCreated.RerunParentInstanceInfo is not null)
            .Select(created => NewRecord(ActionReader.BeginChild(again, created, created.Router is { HasTargetAppID: true } router ? router.TargetAppID : appId, now), now) with
            {
                Parent = new ParentLink(again.Key, 1, created.EventId),
            }).ToList();
        if (!await store.InsertRerunAsync(again, history, children, cancellationToken))
        {
            throw new WorkflowError(StatusCode.AlreadyExists,
                $"A workflow with id '{target.InstanceId}'{string.Concat(children.Select(child => $" or '{child.Address.InstanceId}'"))} already exists. Give another id, or none.");
        }

        Poke();
        return target.InstanceId;
    }
}

/// <summary>The history that a rerun begins with.</summary>
internal static class RerunRules
{
    public static List<HistoryEvent> Build(IReadOnlyList<HistoryEvent> source, InstanceAddress target, RerunWorkflowFromEventRequest request, DateTimeOffset now)
    {
        var index = source.ToList().FindIndex(happened => happened.EventId == request.EventID && IsRepeatable(happened));
        if (index < 0)
        {
            throw new WorkflowError(StatusCode.NotFound,
                $"Workflow '{request.SourceInstanceID}' has no activity, timer or child workflow with event id {request.EventID}. Read its history for the ids.");
        }

        List<HistoryEvent> history = [.. source.Take(index).Select(happened => happened.Clone())];
        foreach (var started in history.Select(happened => happened.ExecutionStarted).OfType<ExecutionStartedEvent>())
        {
            started.WorkflowInstance = new WorkflowInstance { InstanceId = target.InstanceId, ExecutionId = Guid.CreateVersion7().ToString("N") };
        }

        // What was under way at that moment is repeated, too: its answers came later, to the source.
        var open = new OpenWork();
        history.ForEach(happened => open.Apply(happened));
        history = history.ConvertAll(happened => IsRepeatable(happened) && open.IsWaitedFor(happened) ? Repeat(happened, request, target, now, isTarget: false) : happened);
        history.Add(Repeat(source[index], request, target, now, isTarget: true));
        return history;
    }

    private static bool IsRepeatable(HistoryEvent happened) => happened.EventTypeCase is HistoryEvent.EventTypeOneofCase.TaskScheduled
        or HistoryEvent.EventTypeOneofCase.TimerCreated or HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCreated;

    private static HistoryEvent Repeat(HistoryEvent original, RerunWorkflowFromEventRequest request, InstanceAddress target, DateTimeOffset now, bool isTarget)
    {
        var overwrites = isTarget && request.OverwriteInput;
        var repeated = original.Clone();
        repeated.Timestamp = Timestamp.FromDateTimeOffset(now);
        var origin = new RerunParentInstanceInfo { InstanceID = request.SourceInstanceID };
        switch (repeated.EventTypeCase)
        {
            case HistoryEvent.EventTypeOneofCase.TaskScheduled:
                repeated.TaskScheduled.RerunParentInstanceInfo = origin;
                repeated.TaskScheduled.Input = overwrites ? request.Input : repeated.TaskScheduled.Input;
                // Another instance's task: its effects are its own.
                repeated.TaskScheduled.TaskExecutionId = Guid.CreateVersion7().ToString("N");
                break;
            case HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCreated:
                repeated.ChildWorkflowInstanceCreated.RerunParentInstanceInfo = origin;
                repeated.ChildWorkflowInstanceCreated.Input = overwrites ? request.Input : repeated.ChildWorkflowInstanceCreated.Input;
                repeated.ChildWorkflowInstanceCreated.InstanceId = isTarget && request.HasNewChildWorkflowInstanceID
                    ? request.NewChildWorkflowInstanceID : $"{target.InstanceId}:{original.EventId:x4}";
                if (InstanceIds.Problem(repeated.ChildWorkflowInstanceCreated.InstanceId) is { } problem)
                {
                    throw WorkflowError.Invalid(problem);
                }

                break;
            case HistoryEvent.EventTypeOneofCase.TimerCreated when overwrites:
                throw WorkflowError.Invalid($"Event {request.EventID} is a timer, which has no input. Leave out overwriteInput.");
            case HistoryEvent.EventTypeOneofCase.TimerCreated:
                repeated.TimerCreated.RerunParentInstanceInfo = origin;
                // The delay counts anew.
                var delay = OpenWork.FireAt(original) - (Wire.Moment(original.Timestamp) ?? now);
                var fireAt = OpenWork.FireAt(original) >= Wire.Never ? Wire.Never : now + (delay > TimeSpan.Zero ? delay : TimeSpan.Zero);
                repeated.TimerCreated.FireAt = Timestamp.FromDateTimeOffset(fireAt);
                break;
        }

        return repeated;
    }
}
