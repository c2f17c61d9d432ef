namespace Dapr.Workflow;

/// <summary>What the runtime knows of a workflow: the types of its input and output, and a way to run it. Derive from <see cref="Workflow{TInput, TOutput}"/> instead.</summary>
public interface IWorkflow
{
    /// <summary>The type that the input's JSON is read as.</summary>
    Type InputType { get; }

    /// <summary>The type that the output is written as.</summary>
    Type OutputType { get; }

    /// <summary>Runs the workflow, once per turn and from the start each time: what has happened is answered from history.</summary>
    /// <param name="context">The only source of time, ids, waiting and effects.</param>
    /// <param name="input">Of type <see cref="InputType"/>, or null.</param>
    Task<object?> RunAsync(WorkflowContext context, object? input);
}
