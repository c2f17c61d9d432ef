namespace Dapr.Workflow;

/// <summary>
/// A workflow: code that survives restarts because every turn replays it over its history. It must be deterministic: time, ids, waits and
/// effects come from the context only, and nothing but the context's tasks (and tasks made from them) may be awaited.
/// </summary>
/// <typeparam name="TInput">Read from JSON; the default value when the starter gave none.</typeparam>
/// <typeparam name="TOutput">Written as JSON.</typeparam>
public abstract class Workflow<TInput, TOutput> : IWorkflow
{
    Type IWorkflow.InputType => typeof(TInput);

    Type IWorkflow.OutputType => typeof(TOutput);

    async Task<object?> IWorkflow.RunAsync(WorkflowContext context, object? input) => await RunAsync(context, input is null ? default! : (TInput)input);

    /// <summary>The workflow's code.</summary>
    public abstract Task<TOutput> RunAsync(WorkflowContext context, TInput input);
}
