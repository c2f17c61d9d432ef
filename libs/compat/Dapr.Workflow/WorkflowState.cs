using Dapr.Common.Serialization;

namespace Dapr.Workflow;

/// <summary>What the sidecar told of an instance. Of one that does not exist: <see cref="Exists"/> false, status Unknown.</summary>
public sealed class WorkflowState
{
    private readonly Wire.WorkflowState? state;
    private readonly IDaprSerializer serializer;

    internal WorkflowState(Wire.WorkflowState? state, IDaprSerializer serializer) => (this.state, this.serializer) = (state, serializer);

    /// <summary>The workflow's registered name.</summary>
    public string? WorkflowName => state?.Name;

    /// <summary>False: there is no such instance.</summary>
    public bool Exists => state is not null;

    /// <summary>True while the status is Running; false also for pending and suspended instances.</summary>
    public bool IsWorkflowRunning => RuntimeStatus == WorkflowRuntimeStatus.Running;

    /// <summary>True once the status is Completed, Failed or Terminated.</summary>
    public bool IsWorkflowCompleted => RuntimeStatus is WorkflowRuntimeStatus.Completed or WorkflowRuntimeStatus.Failed or WorkflowRuntimeStatus.Terminated;

    /// <summary>When it was created, UTC.</summary>
    public DateTimeOffset CreatedAt => state?.CreatedTimestamp?.ToDateTimeOffset() ?? default;

    /// <summary>When its history grew last, UTC.</summary>
    public DateTimeOffset LastUpdatedAt => state?.LastUpdatedTimestamp?.ToDateTimeOffset() ?? default;

    /// <summary>Where it stands.</summary>
    public WorkflowRuntimeStatus RuntimeStatus => state is not null && Enum.IsDefined((WorkflowRuntimeStatus)state.WorkflowStatus)
        ? (WorkflowRuntimeStatus)state.WorkflowStatus
        : WorkflowRuntimeStatus.Unknown;

    /// <summary>Why it failed; null if it did not, or inputs and outputs were not asked for.</summary>
    public WorkflowTaskFailureDetails? FailureDetails => state?.FailureDetails is { } failure
        ? new WorkflowTaskFailureDetails(failure.ErrorType, failure.ErrorMessage, failure.StackTrace)
        : null;

    /// <summary>The input; the default value if there is none or it was not asked for.</summary>
    public T? ReadInputAs<T>() => Read<T>(state?.Input);

    /// <summary>The output; the default value if there is none (yet) or it was not asked for.</summary>
    public T? ReadOutputAs<T>() => Read<T>(state?.Output);

    /// <summary>The custom status; the default value if there is none or it was not asked for.</summary>
    public T? ReadCustomStatusAs<T>() => Read<T>(state?.CustomStatus);

    private T? Read<T>(string? text) => string.IsNullOrEmpty(text) ? default : serializer.Deserialize<T>(text);
}
