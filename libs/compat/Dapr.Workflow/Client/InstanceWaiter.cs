using Grpc.Core;

namespace Dapr.Workflow.Client;

/// <summary>Long waits at the sidecar, taken up again when it is away or ends them by its own deadline.</summary>
internal sealed class InstanceWaiter(Wire.TaskHubSidecarService.TaskHubSidecarServiceClient sidecar, TimeProvider time)
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(15);

    public Task<Wire.WorkflowState> StartedAsync(string instanceId, bool withPayloads, CancellationToken cancellationToken) => WaitAsync(
        new Wire.GetInstanceRequest { InstanceId = instanceId, GetInputsAndOutputs = withPayloads },
        request => sidecar.WaitForInstanceStartAsync(request, cancellationToken: cancellationToken), cancellationToken);

    public Task<Wire.WorkflowState> CompletedAsync(string instanceId, CancellationToken cancellationToken) => WaitAsync(
        new Wire.GetInstanceRequest { InstanceId = instanceId },
        request => sidecar.WaitForInstanceCompletionAsync(request, cancellationToken: cancellationToken), cancellationToken);

    private async Task<Wire.WorkflowState> WaitAsync(
        Wire.GetInstanceRequest request, Func<Wire.GetInstanceRequest, AsyncUnaryCall<Wire.GetInstanceResponse>> call, CancellationToken cancellationToken)
    {
        var delay = FirstDelay;
        while (true)
        {
            try
            {
                var response = await call(request);
                return response.Exists
                    ? response.WorkflowState
                    : throw new InvalidOperationException($"The sidecar stopped waiting for workflow instance '{request.InstanceId}' because there is none of that id. Start it first, or check the id.");
            }
            catch (RpcException exception) when (exception.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded && !cancellationToken.IsCancellationRequested)
            {
                await Task.Delay(delay, time, cancellationToken);
                delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay;
            }
        }
    }
}
