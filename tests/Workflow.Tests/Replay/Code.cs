using Dapr.Common.Serialization;
using Dapr.Workflow;
using Dapr.Workflow.Worker;
using Dapr.Workflow.Worker.Replay;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Workflow.Tests.Replay;

/// <summary>Runs a turn of workflow code over a history written by hand.</summary>
internal static class Code
{
    public static readonly JsonDaprSerializer Serializer = new();

    public static TurnResult Run<TOutput>(Func<WorkflowContext, Task<TOutput>> code, HistoryEvent[] past, HistoryEvent[] fresh, ILoggerFactory? loggers = null, List<Exception>? foreign = null) =>
        Run(new DelegateWorkflow<string?, TOutput>((context, _) => code(context)), past, fresh, loggers, foreign);

    public static TurnResult Run(Func<WorkflowContext, Task> code, HistoryEvent[] past, HistoryEvent[] fresh) =>
        Run<string?>(async context =>
        {
            await code(context);
            return null;
        }, past, fresh);

    public static TurnResult Run(IWorkflow workflow, HistoryEvent[] past, HistoryEvent[] fresh, ILoggerFactory? loggers = null, List<Exception>? foreign = null) =>
        WorkflowTurn.Run(
            new WorkflowRequest { InstanceId = "i", PastEvents = { past }, NewEvents = { fresh } },
            name => name == "W" ? workflow : null,
            Serializer,
            loggers ?? NullLoggerFactory.Instance,
            exception =>
            {
                lock (foreign ?? [])
                {
                    foreign?.Add(exception);
                }
            });

    /// <summary>The one action asked for.</summary>
    public static WorkflowAction Action(this TurnResult result) => Assert.Single(result.Response.Actions);

    /// <summary>How the instance ends in this turn.</summary>
    public static CompleteWorkflowAction End(this TurnResult result) => Assert.Single(result.Response.Actions, action => action.CompleteWorkflow is not null).CompleteWorkflow;

    /// <summary>The result's JSON of an instance that ends well in this turn.</summary>
    public static string? Output(this TurnResult result)
    {
        var end = result.End();
        Assert.True(end.WorkflowStatus == OrchestrationStatus.Completed, $"{end.WorkflowStatus}: {end.FailureDetails}");
        return end.Result;
    }

    /// <summary>The failure of an instance that fails in this turn.</summary>
    public static TaskFailureDetails Failure(this TurnResult result)
    {
        var end = result.End();
        Assert.Equal(OrchestrationStatus.Failed, end.WorkflowStatus);
        return end.FailureDetails;
    }
}
