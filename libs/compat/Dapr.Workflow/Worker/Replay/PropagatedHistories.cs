namespace Dapr.Workflow.Worker.Replay;

internal static class PropagatedHistories
{
    public static PropagatedHistory? FromWire(Wire.PropagatedHistory? history) => history is null
        ? null
        : new PropagatedHistory([.. history.Chunks.Select(chunk => new PropagatedHistoryEvent(chunk.InstanceId, chunk.AppId, chunk.WorkflowName))]);
}
