using System.Diagnostics;
using Dapr.Common.Serialization;
using Dapr.Workflow.Serialization;
using Dapr.Workflow.Worker.Replay;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Dapr.Workflow.Worker;

/// <summary>Does one work item and makes its answer. Each runs with services of a scope of its own.</summary>
internal sealed class WorkItemRunner(IServiceScopeFactory scopes, WorkflowRuntimeOptions options, SerializerChoice choice, ILoggerFactory loggers, TimeProvider time)
{
    /// <summary>The span of an activity's run is a child of the one that the sidecar made for it.</summary>
    public static readonly ActivitySource Spans = new("Dapr.Workflow");

    private static readonly TimeSpan TurnWarningAfter = TimeSpan.FromSeconds(30);

    private readonly ILogger logger = loggers.CreateLogger<WorkItemRunner>();
    private readonly IDaprSerializer serializer = choice.Serializer;

    /// <summary>Runs a workflow's turn on the calling thread.</summary>
    public Wire.WorkflowResponse RunTurn(Wire.WorkflowRequest request)
    {
        using var scope = scopes.CreateScope();
        using var watch = time.CreateTimer(_ => logger.LogTurnTakesLong(request.InstanceId, TurnWarningAfter.TotalSeconds), null, TurnWarningAfter, Timeout.InfiniteTimeSpan);
        var result = WorkflowTurn.Run(
            request,
            name => options.Workflows.TryGetValue(name, out var make) ? make(scope.ServiceProvider) : null,
            serializer,
            loggers,
            foreign => logger.LogForeign(foreign, request.InstanceId));
        Log(request, result);
        return result.Response;
    }

    /// <summary>Runs an activity; whatever it throws becomes the answer.</summary>
    public async Task<Wire.ActivityResponse> RunActivityAsync(Wire.ActivityRequest request)
    {
        var context = new ActivityContext(request);
        var response = new Wire.ActivityResponse { InstanceId = context.InstanceId, TaskId = request.TaskId };
        ActivityContextOf(request, out var parent);
        using var span = Spans.StartActivity($"WorkflowActivity {request.Name}", ActivityKind.Internal, parent);
        if (!options.Activities.TryGetValue(request.Name, out var make))
        {
            logger.LogActivityUnknown(request.Name, context.InstanceId);
            response.FailureDetails = Failures.Permanent(
                "ActivityNotFoundException", $"No activity '{request.Name}' is registered with this worker. Register it in AddDaprWorkflow, or check the name.");
            return response;
        }

        try
        {
            await using var scope = scopes.CreateAsyncScope();
            var activity = make(scope.ServiceProvider);
            string? json = request.Input;
            var input = string.IsNullOrEmpty(json) ? null : serializer.Deserialize(json, activity.InputType);
            response.Result = serializer.Serialize(await activity.RunAsync(context, input), activity.OutputType);
        }
        catch (Exception exception)
        {
            logger.LogActivityFailed(exception, request.Name, request.TaskId, context.InstanceId);
            span?.SetStatus(ActivityStatusCode.Error, exception.Message);
            response.FailureDetails = Failures.ToWire(exception);
        }

        return response;
    }

    private void Log(Wire.WorkflowRequest request, TurnResult result)
    {
        switch (result.Problem)
        {
            case NonDeterministicWorkflowException mismatch:
                logger.LogMismatch(mismatch.CodeFailure, result.WorkflowName!, request.InstanceId, mismatch.ActionId, mismatch.Expected, mismatch.Found ?? "nothing");
                break;
            case { } problem:
                logger.LogWorkflowFailed(problem, result.WorkflowName!, request.InstanceId);
                break;
            case null when result.WorkflowName is null:
                logger.LogNoStart(request.InstanceId);
                break;
        }

        logger.LogTurn(request.InstanceId, request.PastEvents.Count, request.NewEvents.Count, result.Response.Actions.Count);
    }

    private static void ActivityContextOf(Wire.ActivityRequest request, out System.Diagnostics.ActivityContext parent) =>
        System.Diagnostics.ActivityContext.TryParse(request.ParentTraceContext?.TraceParent, request.ParentTraceContext?.TraceState, isRemote: true, out parent);
}
