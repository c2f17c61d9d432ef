namespace Dapr.Workflow;

/// <summary>An activity or child workflow failed. Thrown into the workflow that called it.</summary>
/// <param name="message">What failed, and how.</param>
/// <param name="failureDetails">The failure as it came over the wire.</param>
public class WorkflowTaskFailedException(string message, WorkflowTaskFailureDetails failureDetails) : Exception(message)
{
    /// <summary>The failure as it came over the wire.</summary>
    public WorkflowTaskFailureDetails FailureDetails { get; } = failureDetails ?? throw new ArgumentNullException(nameof(failureDetails));
}
