using System.Diagnostics;
using Dapr.Common.Serialization;
using Dapr.Workflow.Client;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Dapr.Workflow;

/// <summary>Starts, watches and steers workflow instances through the app's own sidecar. Comes from the service container.</summary>
public sealed class DaprWorkflowClient : IDaprWorkflowClient
{
    private readonly Wire.TaskHubSidecarService.TaskHubSidecarServiceClient sidecar;
    private readonly IDaprSerializer serializer;
    private readonly InstanceWaiter waiter;
    private readonly SidecarChannel? ownChannel;

    internal DaprWorkflowClient(Wire.TaskHubSidecarService.TaskHubSidecarServiceClient sidecar, IDaprSerializer serializer, TimeProvider time, SidecarChannel? ownChannel = null)
    {
        (this.sidecar, this.serializer, this.ownChannel) = (sidecar, serializer, ownChannel);
        waiter = new InstanceWaiter(sidecar, time);
    }

    /// <inheritdoc />
    public Task<string> ScheduleNewWorkflowAsync(string name, string? instanceId = null, object? input = null) =>
        ScheduleNewWorkflowAsync(name, instanceId, input, (DateTimeOffset?)null);

    /// <inheritdoc />
    public Task<string> ScheduleNewWorkflowAsync(string name, string? instanceId, object? input, DateTime? startTime) =>
        ScheduleNewWorkflowAsync(name, instanceId, input, startTime is { } at ? new DateTimeOffset(at.ToUniversalTime()) : null);

    /// <inheritdoc />
    public async Task<string> ScheduleNewWorkflowAsync(string name, string? instanceId, object? input, DateTimeOffset? startTime, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var request = new Wire.CreateInstanceRequest
        {
            Name = name,
            InstanceId = string.IsNullOrEmpty(instanceId) ? Guid.CreateVersion7().ToString("N") : instanceId,
            Input = serializer.Serialize(input),
            ScheduledStartTimestamp = startTime?.ToTimestamp(),
            ParentTraceContext = Activity.Current is { Id: { } traceParent } span ? new() { TraceParent = traceParent, TraceState = span.TraceStateString } : null,
        };
        var response = await sidecar.StartInstanceAsync(request, cancellationToken: cancellation);
        return response.InstanceId;
    }

    /// <inheritdoc />
    public async Task<WorkflowState> GetWorkflowStateAsync(string instanceId, bool getInputsAndOutputs = true, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        return new WorkflowState(await GetAsync(instanceId, getInputsAndOutputs, cancellation), serializer);
    }

    /// <inheritdoc />
    public async Task<WorkflowState> WaitForWorkflowStartAsync(string instanceId, bool getInputsAndOutputs = true, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        return new WorkflowState(await waiter.StartedAsync(instanceId, getInputsAndOutputs, cancellation), serializer);
    }

    /// <inheritdoc />
    public async Task<WorkflowState> WaitForWorkflowCompletionAsync(string instanceId, bool getInputsAndOutputs = true, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        // The long wait carries no payloads: it may be repeated many times.
        var ended = await waiter.CompletedAsync(instanceId, cancellation);
        return new WorkflowState(getInputsAndOutputs ? await GetAsync(instanceId, true, cancellation) ?? ended : ended, serializer);
    }

    /// <inheritdoc />
    public async Task RaiseEventAsync(string instanceId, string eventName, object? eventPayload = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        ArgumentException.ThrowIfNullOrWhiteSpace(eventName);
        await sidecar.RaiseEventAsync(new Wire.RaiseEventRequest { InstanceId = instanceId, Name = eventName, Input = serializer.Serialize(eventPayload) }, cancellationToken: cancellation);
    }

    /// <inheritdoc />
    public async Task TerminateWorkflowAsync(string instanceId, object? output = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        await sidecar.TerminateInstanceAsync(new Wire.TerminateRequest { InstanceId = instanceId, Output = serializer.Serialize(output), Recursive = true }, cancellationToken: cancellation);
    }

    /// <inheritdoc />
    public async Task SuspendWorkflowAsync(string instanceId, string? reason = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        await sidecar.SuspendInstanceAsync(new Wire.SuspendRequest { InstanceId = instanceId, Reason = reason ?? "" }, cancellationToken: cancellation);
    }

    /// <inheritdoc />
    public async Task ResumeWorkflowAsync(string instanceId, string? reason = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        await sidecar.ResumeInstanceAsync(new Wire.ResumeRequest { InstanceId = instanceId, Reason = reason ?? "" }, cancellationToken: cancellation);
    }

    /// <inheritdoc />
    public async Task<bool> PurgeInstanceAsync(string instanceId, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        var response = await sidecar.PurgeInstancesAsync(new Wire.PurgeInstancesRequest { InstanceId = instanceId, Recursive = true }, cancellationToken: cancellation);
        return response.DeletedInstanceCount > 0;
    }

    /// <inheritdoc />
    public async Task<WorkflowInstancePage> ListInstanceIdsAsync(string? continuationToken = null, int? pageSize = null, CancellationToken cancellation = default)
    {
        var request = new Wire.ListInstanceIDsRequest();
        if (continuationToken is not null)
        {
            request.ContinuationToken = continuationToken;
        }

        if (pageSize is { } size)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(size, 1, nameof(pageSize));
            request.PageSize = (uint)size;
        }

        var response = await sidecar.ListInstanceIDsAsync(request, cancellationToken: cancellation);
        return new WorkflowInstancePage([.. response.InstanceIds], response.HasContinuationToken && response.ContinuationToken.Length > 0 ? response.ContinuationToken : null);
    }

    /// <inheritdoc />
    public async Task<IReadOnlyList<WorkflowHistoryEvent>> GetInstanceHistoryAsync(string instanceId, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(instanceId);
        var response = await sidecar.GetInstanceHistoryAsync(new Wire.GetInstanceHistoryRequest { InstanceId = instanceId }, cancellationToken: cancellation);
        return [.. response.Events.Select(HistoryEvents.ToPublic)];
    }

    /// <inheritdoc />
    public async Task<string> RerunWorkflowFromEventAsync(string sourceInstanceId, uint eventId, RerunWorkflowFromEventOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(sourceInstanceId);
        if (options is { Input: not null, OverwriteInput: false })
        {
            throw new ArgumentException("RerunWorkflowFromEventOptions.Input is set but OverwriteInput is false, so the input would not be used. Set OverwriteInput, or leave Input null.", nameof(options));
        }

        var request = new Wire.RerunWorkflowFromEventRequest { SourceInstanceID = sourceInstanceId, EventID = eventId, OverwriteInput = options?.OverwriteInput ?? false };
        if (options?.NewInstanceId is { Length: > 0 } newInstanceId)
        {
            request.NewInstanceID = newInstanceId;
        }

        if (request.OverwriteInput)
        {
            request.Input = serializer.Serialize(options!.Input);
        }

        var response = await sidecar.RerunWorkflowFromEventAsync(request, cancellationToken: cancellation);
        return response.NewInstanceID;
    }

    /// <summary>Closes the connection, unless the service container owns it.</summary>
    public void Dispose() => ownChannel?.Dispose();

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<Wire.WorkflowState?> GetAsync(string instanceId, bool withPayloads, CancellationToken cancellation)
    {
        try
        {
            var response = await sidecar.GetInstanceAsync(new Wire.GetInstanceRequest { InstanceId = instanceId, GetInputsAndOutputs = withPayloads }, cancellationToken: cancellation);
            return response.Exists ? response.WorkflowState : null;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            return null;
        }
    }
}
