using Dapr.Workflow.Abstractions;

namespace Dapr.Workflow;

/// <summary>Which call an activity runs for.</summary>
public abstract class WorkflowActivityContext
{
    /// <summary>The activity's registered name.</summary>
    public abstract TaskIdentifier Identifier { get; }

    /// <summary>The same for every run of one call, tries of its retry policy included; no two calls share one.</summary>
    public abstract string TaskExecutionKey { get; }

    /// <summary>The calling workflow's instance id.</summary>
    public abstract string InstanceId { get; }
}
