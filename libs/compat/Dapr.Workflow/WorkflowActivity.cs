using Dapr.Workflow.Abstractions;

namespace Dapr.Workflow;

/// <summary>
/// One effect of a workflow. It may run more than once for one call (its answer can be lost), so its effect must carry an idempotency key;
/// <see cref="WorkflowActivityContext.TaskExecutionKey"/> stays the same through such repetitions.
/// </summary>
/// <typeparam name="TInput">Read from JSON; the default value when the caller gave none.</typeparam>
/// <typeparam name="TOutput">Written as JSON and kept in the workflow's history.</typeparam>
public abstract class WorkflowActivity<TInput, TOutput> : IWorkflowActivity
{
    Type IWorkflowActivity.InputType => typeof(TInput);

    Type IWorkflowActivity.OutputType => typeof(TOutput);

    async Task<object?> IWorkflowActivity.RunAsync(WorkflowActivityContext context, object? input) => await RunAsync(context, input is null ? default! : (TInput)input);

    /// <summary>The activity's code. A thrown exception reaches the workflow as a <see cref="WorkflowTaskFailedException"/>.</summary>
    public abstract Task<TOutput> RunAsync(WorkflowActivityContext context, TInput input);
}
