using Dapr.Common.Serialization;
using Microsoft.Extensions.Logging;
using EventCase = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace Dapr.Workflow.Worker.Replay;

/// <summary>
/// One turn of one instance: the code runs from its start over the history, on the calling thread, and what it asks for beyond the history is the
/// answer. Depends on nothing but its arguments.
/// </summary>
/// <remarks>
/// 1. An instance that was terminated is only told so.
/// 2. The code starts when the history says so and runs until it waits.
/// 3. Each history entry in turn strikes off an action or ends a wait; the code goes on at once, as far as it can.
/// 4. Code that then waits for nothing that can come has left the rails and fails.
/// 5. A suspended instance asks for nothing: what its code would ask for is asked for again after the resumption.
/// </remarks>
internal sealed class WorkflowTurn
{
    private readonly Wire.WorkflowRequest request;
    private readonly Wire.HistoryEvent start;
    private readonly IWorkflow workflow;
    private readonly IDaprSerializer serializer;
    private readonly ReplayContext context;
    private Task<object?>? run;
    private bool suspended;

    private WorkflowTurn(Wire.WorkflowRequest request, Wire.HistoryEvent start, IWorkflow workflow, IDaprSerializer serializer, ILoggerFactory loggers, Action<ForeignWaitException> onForeign)
    {
        (this.request, this.start, this.workflow, this.serializer) = (request, start, workflow, serializer);
        context = new ReplayContext(
            start.ExecutionStarted.Name, request.InstanceId, NamedGuid.Namespace(SeedOf(request, start)), PropagatedHistories.FromWire(request.PropagatedHistory), serializer, loggers, onForeign);
    }

    /// <param name="request">The history and what is new.</param>
    /// <param name="find">Makes the workflow of a name; null if none is registered.</param>
    /// <param name="serializer">Reads and writes inputs, results and events.</param>
    /// <param name="loggers">For the workflow's own loggers.</param>
    /// <param name="onForeign">Told when code left behind by the turn goes on; may be called from any thread.</param>
    public static TurnResult Run(
        Wire.WorkflowRequest request, Func<string, IWorkflow?> find, IDaprSerializer serializer, ILoggerFactory loggers, Action<ForeignWaitException> onForeign)
    {
        List<Wire.HistoryEvent> events = [.. request.PastEvents, .. request.NewEvents];
        var start = events.FindLast(entry => entry.EventTypeCase == EventCase.ExecutionStarted);
        if (events.FindLast(entry => entry.EventTypeCase == EventCase.ExecutionTerminated) is { } terminated)
        {
            return new TurnResult(
                Answer(request, Complete(Wire.OrchestrationStatus.Terminated, terminated.ExecutionTerminated.Input)), start?.ExecutionStarted.Name);
        }

        if (start is null)
        {
            return new TurnResult(Answer(request), null);
        }

        var name = start.ExecutionStarted.Name;
        IWorkflow? workflow;
        try
        {
            workflow = find(name);
        }
        catch (Exception exception)
        {
            return Failed(request, name, Failures.ToWire(exception), exception);
        }

        if (workflow is null)
        {
            var message = $"No workflow '{name}' is registered with this worker. Register it in AddDaprWorkflow, or check the name.";
            return Failed(request, name, Failures.Permanent("WorkflowNotFound", message), new InvalidOperationException(message));
        }

        var outer = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            return new WorkflowTurn(request, start, workflow, serializer, loggers, onForeign).Run();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outer);
        }
    }

    private TurnResult Run()
    {
        try
        {
            Apply(request.PastEvents, replaying: true);
            Apply(request.NewEvents, replaying: false);
            return Decide();
        }
        catch (NonDeterministicWorkflowException mismatch)
        {
            mismatch.CodeFailure = run?.Exception?.InnerException;
            // The sidecar holds the instance and tries again with the next worker: the money in a workflow outlives a bad release.
            return new TurnResult(Answer(request, new Wire.WorkflowAction { WorkflowVersionNotAvailable = new() }), context.Name, mismatch);
        }
        finally
        {
            context.Close();
        }
    }

    private void Apply(IEnumerable<Wire.HistoryEvent> entries, bool replaying)
    {
        foreach (var entry in entries)
        {
            context.Replaying(replaying);
            Apply(entry);
            if (run is { IsCompleted: true } || context.NextGeneration is not null)
            {
                context.Events.Close();
            }
        }
    }

    private void Apply(Wire.HistoryEvent entry)
    {
        switch (entry.EventTypeCase)
        {
            case EventCase.WorkflowStarted:
                context.BeginTurn(entry);
                break;
            case EventCase.ExecutionStarted when entry == start:
                run = Start();
                break;
            case EventCase.TaskScheduled or EventCase.TimerCreated or EventCase.ChildWorkflowInstanceCreated or EventCase.EventSent or EventCase.DetachedWorkflowInstanceCreated:
                context.Actions.Confirm(entry);
                break;
            case EventCase.TaskCompleted:
                context.Actions.Complete(entry.TaskCompleted.TaskScheduledId, entry);
                break;
            case EventCase.TaskFailed:
                context.Actions.Complete(entry.TaskFailed.TaskScheduledId, entry);
                break;
            case EventCase.ChildWorkflowInstanceCompleted:
                context.Actions.Complete(entry.ChildWorkflowInstanceCompleted.TaskScheduledId, entry);
                break;
            case EventCase.ChildWorkflowInstanceFailed:
                context.Actions.Complete(entry.ChildWorkflowInstanceFailed.TaskScheduledId, entry);
                break;
            case EventCase.TimerFired:
                context.Actions.Complete(entry.TimerFired.TimerId, entry);
                break;
            case EventCase.EventRaised:
                context.Events.Raise(entry);
                break;
            case EventCase.ExecutionSuspended:
                suspended = true;
                break;
            case EventCase.ExecutionResumed:
                suspended = false;
                break;
        }
    }

    private Task<object?> Start()
    {
        try
        {
            string? json = start.ExecutionStarted.Input;
            return workflow.RunAsync(context, string.IsNullOrEmpty(json) ? null : serializer.Deserialize(json, workflow.InputType));
        }
        catch (Exception exception)
        {
            return Task.FromException<object?>(exception);
        }
    }

    private TurnResult Decide()
    {
        var problem = context.Foreign;
        if (problem is null && run is { IsCompleted: false } && context.NextGeneration is null && !context.Actions.AnyOpen && !context.Events.AnyWaiting)
        {
            problem = new ForeignWaitException($"Workflow '{context.Name}', instance '{context.InstanceId}', waits for something that is not its context's.");
        }

        if (problem is not null)
        {
            return Failed(request, context.Name, Failures.ToWire(problem), problem);
        }

        var response = Answer(request);
        response.CustomStatus = context.CustomStatus;
        if (context.Patches.Any)
        {
            response.Version = new Wire.WorkflowVersion { Name = context.Name, Patches = { context.Patches.Taken } };
        }

        if (suspended)
        {
            return new TurnResult(response, context.Name);
        }

        var failure = AddActions(response);
        return new TurnResult(response, context.Name, failure);
    }

    private Exception? AddActions(Wire.WorkflowResponse response)
    {
        var (end, failure) = run is { IsCompleted: true } ? End(run) : (null, null);
        var next = context.NextGeneration;
        // A new generation takes the place of a result, but not of a failure.
        response.Actions.AddRange(context.Actions.Pending.Where(action => failure is null || action != next?.Action));
        if (failure is not null || next is null)
        {
            response.Actions.AddRange(end is null ? [] : [end]);
        }
        else if (next.Value.KeepEvents)
        {
            next.Value.Action.CompleteWorkflow.CarryoverEvents.AddRange(context.Events.Kept);
        }

        return failure;
    }

    private (Wire.WorkflowAction, Exception?) End(Task<object?> ended)
    {
        try
        {
            return (Complete(Wire.OrchestrationStatus.Completed, serializer.Serialize(ended.GetAwaiter().GetResult(), workflow.OutputType)), null);
        }
        catch (Exception exception)
        {
            return (Fail(Failures.ToWire(exception)), exception);
        }
    }

    // Ids must differ between generations. Sidecars that tell the generation only in its first event are common, so that is looked at too.
    private static string SeedOf(Wire.WorkflowRequest request, Wire.HistoryEvent start) =>
        (request.ExecutionId ?? start.ExecutionStarted.WorkflowInstance?.ExecutionId) is { Length: > 0 } executionId
            ? executionId
            : $"{request.InstanceId}|{start.Timestamp}";

    private static Wire.WorkflowResponse Answer(Wire.WorkflowRequest request, params IEnumerable<Wire.WorkflowAction> actions) =>
        new() { InstanceId = request.InstanceId, Actions = { actions } };

    private static TurnResult Failed(Wire.WorkflowRequest request, string name, Wire.TaskFailureDetails failure, Exception cause) =>
        new(Answer(request, Fail(failure)), name, cause);

    private static Wire.WorkflowAction Complete(Wire.OrchestrationStatus status, string? result) =>
        new() { CompleteWorkflow = new Wire.CompleteWorkflowAction { WorkflowStatus = status, Result = result } };

    private static Wire.WorkflowAction Fail(Wire.TaskFailureDetails failure) =>
        new() { CompleteWorkflow = new Wire.CompleteWorkflowAction { WorkflowStatus = Wire.OrchestrationStatus.Failed, FailureDetails = failure } };
}
