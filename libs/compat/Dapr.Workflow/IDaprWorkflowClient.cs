using Dapr.Common;
using Dapr.Workflow.Client;

namespace Dapr.Workflow;

/// <summary>Starts, watches and steers workflow instances through the app's own sidecar. Errors of the sidecar and cancelled calls are gRPC exceptions.</summary>
public interface IDaprWorkflowClient : IDaprClient, IAsyncDisposable
{
    /// <summary>Starts an instance at once. Returns its id when its first turn is done, or sooner if that takes long.</summary>
    /// <param name="name">The workflow's registered name.</param>
    /// <param name="instanceId">Null: a random one. An id in use is refused (ALREADY_EXISTS), which makes a start with a known id safe to repeat.</param>
    /// <param name="input">Written as JSON; null for none.</param>
    Task<string> ScheduleNewWorkflowAsync(string name, string? instanceId = null, object? input = null);

    /// <summary>Starts an instance at a given time; without a time zone it counts as local.</summary>
    /// <inheritdoc cref="ScheduleNewWorkflowAsync(string, string?, object?)"/>
    Task<string> ScheduleNewWorkflowAsync(string name, string? instanceId, object? input, DateTime? startTime);

    /// <summary>Starts an instance at a given time, or at once if that is null.</summary>
    /// <inheritdoc cref="ScheduleNewWorkflowAsync(string, string?, object?)"/>
    Task<string> ScheduleNewWorkflowAsync(string name, string? instanceId, object? input, DateTimeOffset? startTime, CancellationToken cancellation = default);

    /// <summary>The state of an instance now.</summary>
    /// <param name="instanceId">The instance's id.</param>
    /// <param name="getInputsAndOutputs">False leaves out input, output, custom status and failure.</param>
    /// <param name="cancellation">Gives up.</param>
    Task<WorkflowState> GetWorkflowStateAsync(string instanceId, bool getInputsAndOutputs = true, CancellationToken cancellation = default);

    /// <summary>Waits until the instance has begun, also for an id that is not in use yet.</summary>
    /// <inheritdoc cref="GetWorkflowStateAsync(string, bool, CancellationToken)"/>
    Task<WorkflowState> WaitForWorkflowStartAsync(string instanceId, bool getInputsAndOutputs = true, CancellationToken cancellation = default);

    /// <summary>Waits until the instance has ended, also for an id that is not in use yet, through restarts of the sidecar.</summary>
    /// <inheritdoc cref="GetWorkflowStateAsync(string, bool, CancellationToken)"/>
    Task<WorkflowState> WaitForWorkflowCompletionAsync(string instanceId, bool getInputsAndOutputs = true, CancellationToken cancellation = default);

    /// <summary>Raises an event at an instance; it is kept until the workflow asks for it.</summary>
    Task RaiseEventAsync(string instanceId, string eventName, object? eventPayload = null, CancellationToken cancellation = default);

    /// <summary>Ends an instance and its children. Activities under way run on unheard.</summary>
    Task TerminateWorkflowAsync(string instanceId, object? output = null, CancellationToken cancellation = default);

    /// <summary>Holds an instance: what comes in is kept.</summary>
    Task SuspendWorkflowAsync(string instanceId, string? reason = null, CancellationToken cancellation = default);

    /// <summary>Lets a held instance go on.</summary>
    Task ResumeWorkflowAsync(string instanceId, string? reason = null, CancellationToken cancellation = default);

    /// <summary>Forgets an instance that has ended, and its children. False: there was none.</summary>
    Task<bool> PurgeInstanceAsync(string instanceId, CancellationToken cancellation = default);

    /// <summary>A page of the app's instance ids.</summary>
    Task<WorkflowInstancePage> ListInstanceIdsAsync(string? continuationToken = null, int? pageSize = null, CancellationToken cancellation = default);

    /// <summary>What happened to an instance, in order.</summary>
    Task<IReadOnlyList<WorkflowHistoryEvent>> GetInstanceHistoryAsync(string instanceId, CancellationToken cancellation = default);

    /// <summary>Runs an ended instance again, as a new one, from one of its activities, timers or children on. Returns the new id.</summary>
    /// <param name="sourceInstanceId">An ended instance that is nobody's child.</param>
    /// <param name="eventId">The event id of the activity, timer or child in its history.</param>
    /// <param name="options">The new id, another input.</param>
    /// <param name="cancellation">Gives up.</param>
    Task<string> RerunWorkflowFromEventAsync(string sourceInstanceId, uint eventId, RerunWorkflowFromEventOptions? options = null, CancellationToken cancellation = default);
}
