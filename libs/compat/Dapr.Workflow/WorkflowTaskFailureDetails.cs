namespace Dapr.Workflow;

/// <summary>A failure that has crossed a process boundary: names and texts, not the exception itself.</summary>
/// <param name="errorType">The exception's full type name, or a word of the runtime such as <c>WorkflowNotFound</c>.</param>
/// <param name="errorMessage">The exception's message.</param>
/// <param name="stackTrace">Where it was thrown; for people only.</param>
public class WorkflowTaskFailureDetails(string errorType, string errorMessage, string? stackTrace = null)
{
    /// <summary>The exception's full type name, or a word of the runtime such as <c>WorkflowNotFound</c>.</summary>
    public string ErrorType { get; } = errorType ?? throw new ArgumentNullException(nameof(errorType));

    /// <summary>The exception's message.</summary>
    public string ErrorMessage { get; } = errorMessage ?? throw new ArgumentNullException(nameof(errorMessage));

    /// <summary>Where it was thrown; for people only.</summary>
    public string? StackTrace { get; } = stackTrace;

    /// <summary>True if the failure was an exception of type <typeparamref name="T"/> or of one derived from it, as far as its type can be found in this process.</summary>
    public bool IsCausedBy<T>()
        where T : Exception
    {
        if (ErrorType == typeof(T).FullName)
        {
            return true;
        }

        var thrown = Type.GetType(ErrorType, throwOnError: false)
            ?? typeof(T).Assembly.GetType(ErrorType, throwOnError: false)
            ?? AppDomain.CurrentDomain.GetAssemblies().Select(assembly => assembly.GetType(ErrorType, throwOnError: false)).FirstOrDefault(type => type is not null);
        return thrown is not null && typeof(T).IsAssignableFrom(thrown);
    }

    /// <summary>Type and message.</summary>
    public override string ToString() => $"{ErrorType}: {ErrorMessage}";
}
