namespace Dapr.Workflow.Abstractions;

/// <summary>What the runtime knows of an activity. Derive from <see cref="WorkflowActivity{TInput, TOutput}"/> instead.</summary>
public interface IWorkflowActivity
{
    /// <summary>The type that the input's JSON is read as.</summary>
    Type InputType { get; }

    /// <summary>The type that the output is written as.</summary>
    Type OutputType { get; }

    /// <summary>Runs the activity.</summary>
    Task<object?> RunAsync(WorkflowActivityContext context, object? input);
}
