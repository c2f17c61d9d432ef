namespace Dapr.Workflow.Worker.Replay;

/// <summary>The history holds another action than the one that the code asks for at the same place.</summary>
/// <param name="actionId">The place: the action's number in the current generation.</param>
/// <param name="expected">What the history holds.</param>
/// <param name="found">What the code asks for; null: nothing.</param>
internal sealed class NonDeterministicWorkflowException(int actionId, string expected, string? found) : InvalidOperationException(
    $"Action {actionId} of the history is {expected}, but the workflow's code asks for {found ?? "nothing"} there. The code has changed under a running instance, " +
    "or depends on more than its input and its context. Bring back the code that fits the history, or put the change behind IsPatched.")
{
    public int ActionId { get; } = actionId;

    public string Expected { get; } = expected;

    public string? Found { get; } = found;

    /// <summary>The exception by which the code had already ended, if that is why it asks for nothing.</summary>
    public Exception? CodeFailure { get; set; }
}
