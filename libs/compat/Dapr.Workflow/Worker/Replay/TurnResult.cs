namespace Dapr.Workflow.Worker.Replay;

/// <summary>What a turn came to.</summary>
/// <param name="Response">The answer for the sidecar.</param>
/// <param name="WorkflowName">Null if the history holds no start.</param>
/// <param name="Problem">Why the instance failed or cannot go on; null if nothing is wrong.</param>
internal sealed record TurnResult(Wire.WorkflowResponse Response, string? WorkflowName, Exception? Problem = null);
