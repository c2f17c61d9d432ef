using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Turns a worker's answer into history, messages and new instances. No I/O, no clock of its own.</summary>
internal static class TurnRules
{
    /// <summary>Errors that the engine itself reports to a workflow.</summary>
    public const string AlreadyExists = "WorkflowInstanceAlreadyExists";
    public const string NoSuchApp = "AppNotHosted";
    public const string InvalidInstanceId = "InvalidInstanceId";

    public static TurnOutcome Decide(TurnInput input)
    {
        if (FindStall(input) is { } stalled)
        {
            return new TurnOutcome { Kind = TurnKind.Stalled, Stalled = stalled, CustomStatus = input.Record.CustomStatus };
        }

        var turn = new ActionReader(input);
        foreach (var action in input.Response.Actions)
        {
            turn.Read(action);
        }

        var heard = WithVersion(input);
        var completion = turn.Completion;
        var custom = CustomStatus(input);
        if (completion?.CompleteWorkflow.WorkflowStatus == OrchestrationStatus.ContinuedAsNew)
        {
            // The other actions of such a turn count for nothing, as with daprd.
            return new TurnOutcome
            {
                Kind = TurnKind.ContinuedAsNew, NextStart = NextStart(input, completion.CompleteWorkflow), CustomStatus = custom, Ignored = turn.Ignored,
            };
        }

        var outcome = new TurnOutcome
        {
            Kind = TurnKind.Goes,
            Events = [.. heard, .. turn.Events],
            CustomStatus = custom,
            Beginnings = turn.Beginnings,
            Outgoing = turn.Outgoing,
            OwnAnswers = turn.OwnAnswers,
            Ignored = turn.Ignored,
        };
        return completion is null ? outcome : End(outcome, input, completion);
    }

    /// <summary>The answer that a worker would give to a terminated instance, for one that no worker can be asked about.</summary>
    public static WorkflowResponse Terminate(string instanceId, HistoryEvent terminated) => new()
    {
        InstanceId = instanceId,
        Actions =
        {
            new WorkflowAction
            {
                Id = Wire.NoAction,
                CompleteWorkflow = new CompleteWorkflowAction { WorkflowStatus = OrchestrationStatus.Terminated, Result = terminated.ExecutionTerminated.Input },
            },
        },
    };

    public static TaskFailureDetails Failure(string type, string message) => new() { ErrorType = type, ErrorMessage = message };

    private static TurnOutcome End(TurnOutcome outcome, TurnInput input, WorkflowAction action)
    {
        var complete = action.CompleteWorkflow;
        var completed = Wire.NewEvent(input.Now, action.Id);
        completed.ExecutionCompleted = new ExecutionCompletedEvent
        {
            WorkflowStatus = complete.WorkflowStatus, Result = complete.Result, FailureDetails = complete.FailureDetails,
        };
        if (complete.WorkflowStatus is not (OrchestrationStatus.Completed or OrchestrationStatus.Failed or OrchestrationStatus.Canceled or OrchestrationStatus.Terminated))
        {
            completed.ExecutionCompleted.WorkflowStatus = OrchestrationStatus.Failed;
            completed.ExecutionCompleted.FailureDetails = Failure("InvalidStatus",
                $"The worker ended the workflow with status {complete.WorkflowStatus}, which is not an end: use COMPLETED, FAILED, CANCELED, TERMINATED or CONTINUED_AS_NEW.");
        }

        var terminated = input.NewEvents.LastOrDefault(happened => happened.EventTypeCase == HistoryEvent.EventTypeOneofCase.ExecutionTerminated);
        return outcome with
        {
            Kind = TurnKind.Ended,
            Events = [.. outcome.Events, completed],
            Completed = completed,
            OwnAnswers = [],
            Outgoing = input.Record.Parent is null ? outcome.Outgoing : [.. outcome.Outgoing, ToParent(input, completed.ExecutionCompleted)],
            ChildrenTerminated = terminated is { ExecutionTerminated.Recurse: true } ? terminated : null,
        };
    }

    private static Outgoing ToParent(TurnInput input, ExecutionCompletedEvent ended)
    {
        var link = input.Record.Parent!;
        var info = input.Record.Started.ParentInstance;
        var answer = Wire.NewEvent(input.Now);
        if (ended.WorkflowStatus == OrchestrationStatus.Completed)
        {
            answer.ChildWorkflowInstanceCompleted = new ChildWorkflowInstanceCompletedEvent { TaskScheduledId = link.Task, Result = ended.Result };
        }
        else
        {
            answer.ChildWorkflowInstanceFailed = new ChildWorkflowInstanceFailedEvent
            {
                TaskScheduledId = link.Task,
                FailureDetails = ended.FailureDetails ?? Failure(
                    $"Workflow{ended.WorkflowStatus}", $"Child workflow {input.Record.Address.InstanceId} ended with status {ended.WorkflowStatus}."),
            };
        }

        var parent = new InstanceAddress(info.HasAppID ? info.AppID : input.Record.Address.AppId, info.WorkflowInstance.InstanceId);
        return new Outgoing(parent, new Message(answer, link.Generation), link.Key);
    }

    private static List<HistoryEvent> NextStart(TurnInput input, CompleteWorkflowAction complete)
    {
        var start = Wire.NewEvent(input.Now);
        start.ExecutionStarted = input.Record.Started.Clone();
        start.ExecutionStarted.Input = complete.Result;
        start.ExecutionStarted.ScheduledStartTimestamp = null;
        start.ExecutionStarted.Version = complete.NewVersion ?? start.ExecutionStarted.Version;
        start.ExecutionStarted.WorkflowInstance = new WorkflowInstance
        {
            InstanceId = input.Record.Address.InstanceId, ExecutionId = Guid.CreateVersion7().ToString("N"),
        };

        // Only raised events may cross: answers to the old generation mean nothing to the new one.
        return [start, .. complete.CarryoverEvents.Where(carried => carried.EventTypeCase == HistoryEvent.EventTypeOneofCase.EventRaised)];
    }

    private static string? CustomStatus(TurnInput input)
    {
        // A suspended worker answers without looking at the workflow, so it cannot know what the status was.
        var isAsleep = input.NewEvents[^1].EventTypeCase == HistoryEvent.EventTypeOneofCase.ExecutionSuspended;
        return input.Response.CustomStatus ?? (isAsleep ? input.Record.CustomStatus : null);
    }

    private static HistoryEvent? FindStall(TurnInput input)
    {
        if (input.Response.Actions.Any(action => action.WorkflowActionTypeCase == WorkflowAction.WorkflowActionTypeOneofCase.WorkflowVersionNotAvailable))
        {
            return Stall(input.Now, StalledReason.VersionNotAvailable,
                $"No connected worker has the version of workflow {input.Record.Started.Name} that this instance began with. Start a worker that registers it.");
        }

        // A worker that is asleep or told to end has not run the code, so it cannot have asked for patches.
        var hasRun = input.NewEvents[^1].EventTypeCase is not (HistoryEvent.EventTypeOneofCase.ExecutionSuspended or HistoryEvent.EventTypeOneofCase.ExecutionTerminated);
        var known = KnownPatches(input.History);
        if (input.Response.Version is { } version && hasRun && !version.Patches.Take(known.Count).SequenceEqual(known))
        {
            return Stall(input.Now, StalledReason.PatchMismatch,
                $"The history was made with patches [{string.Join(", ", known)}], the worker asked for [{string.Join(", ", version.Patches)}]. Start a worker that has them in this order.");
        }

        return null;
    }

    public static HistoryEvent Stall(DateTimeOffset now, StalledReason reason, string description)
    {
        var stalled = Wire.NewEvent(now);
        stalled.ExecutionStalled = new ExecutionStalledEvent { Reason = reason, Description = description };
        return stalled;
    }

    private static IEnumerable<HistoryEvent> WithVersion(TurnInput input)
    {
        if (input.Response.Version is not { } version || (version.Patches.Count == 0 && !version.HasName))
        {
            return input.NewEvents;
        }

        // A copy: the event as it was may still be on its way to a second worker.
        var first = input.NewEvents[0].Clone();
        first.WorkflowStarted.Version = version.Clone();
        first.WorkflowStarted.Version.Patches.Clear();
        first.WorkflowStarted.Version.Patches.Add(version.Patches.Skip(KnownPatches(input.History).Count));
        return input.NewEvents.Skip(1).Prepend(first);
    }

    private static List<string> KnownPatches(IReadOnlyList<HistoryEvent> history) =>
        [.. history.Where(happened => happened.EventTypeCase == HistoryEvent.EventTypeOneofCase.WorkflowStarted)
            .SelectMany(happened => happened.WorkflowStarted.Version?.Patches ?? [])];
}
