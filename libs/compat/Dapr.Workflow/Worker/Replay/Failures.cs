namespace Dapr.Workflow.Worker.Replay;

/// <summary>Exceptions as they travel, both ways.</summary>
internal static class Failures
{
    public static Wire.TaskFailureDetails ToWire(Exception exception) => new()
    {
        ErrorType = exception.GetType().FullName ?? exception.GetType().Name,
        ErrorMessage = exception.Message,
        StackTrace = exception.StackTrace ?? "",
        InnerFailure = exception switch
        {
            WorkflowTaskFailedException { FailureDetails: var cause } => new() { ErrorType = cause.ErrorType, ErrorMessage = cause.ErrorMessage, StackTrace = cause.StackTrace ?? "" },
            { InnerException: { } inner } => ToWire(inner),
            _ => null,
        },
    };

    /// <summary>A failure that no exception of user code stands behind, under one of the runtime's own words.</summary>
    public static Wire.TaskFailureDetails Permanent(string errorType, string message) => new() { ErrorType = errorType, ErrorMessage = message, IsNonRetriable = true };

    public static WorkflowTaskFailedException FromWire(string what, Wire.TaskFailureDetails? failure)
    {
        var details = new WorkflowTaskFailureDetails(failure?.ErrorType ?? "Unknown", failure?.ErrorMessage ?? "No cause was given.", failure?.StackTrace);
        return new WorkflowTaskFailedException($"{char.ToUpperInvariant(what[0])}{what[1..]} failed: {details.ErrorMessage}", details);
    }
}
