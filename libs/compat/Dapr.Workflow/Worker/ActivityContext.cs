using Dapr.Workflow.Abstractions;

namespace Dapr.Workflow.Worker;

internal sealed class ActivityContext(Wire.ActivityRequest request) : WorkflowActivityContext
{
    public override TaskIdentifier Identifier { get; } = new(request.Name);

    public override string TaskExecutionKey { get; } = request.TaskExecutionId;

    public override string InstanceId { get; } = request.WorkflowInstance?.InstanceId ?? "";
}
