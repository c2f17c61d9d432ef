using System.Collections.Concurrent;
using Dapr;
using Dapr.Actors;
using Dapr.Actors.Client;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>
/// The way to a node's owner: its actor, through the sidecar. While the sidecar cannot be reached the same work is done here, in turns
/// of this process: the constraints make that safe, it only costs the order between replicas.
/// </summary>
internal sealed partial class NodeOwners(
    IActorProxyFactory proxies, LeaseSlot leases, NodeSessions sessions, IOptions<SchedulerOptions> options, ILogger<NodeOwners> logger)
{
    private readonly ConcurrentDictionary<NodeId, LocalOwner> local = new();

    public Task<LeaseResponse> LeaseAsync(LeaseRequest request, CancellationToken cancellationToken) =>
        CallAsync(
            request.NodeId, nameof(INodeActor.LeaseAsync),
            (proxy, limit) => proxy.InvokeMethodAsync<LeaseRequest, LeaseResponse>(nameof(INodeActor.LeaseAsync), request, limit),
            owner => owner.LeaseAsync(request, cancellationToken), cancellationToken);

    public Task<OpenNodeSessionResponse> OpenSessionAsync(OpenNodeSessionRequest request, CancellationToken cancellationToken) =>
        CallAsync(
            request.NodeId, nameof(INodeActor.OpenSessionAsync),
            (proxy, limit) => proxy.InvokeMethodAsync<OpenNodeSessionRequest, OpenNodeSessionResponse>(nameof(INodeActor.OpenSessionAsync), request, limit),
            owner => owner.OpenSessionAsync(request, cancellationToken), cancellationToken);

    public Task CloseSessionAsync(CloseNodeSessionRequest request, CancellationToken cancellationToken) =>
        CallAsync(
            request.NodeId, nameof(INodeActor.CloseSessionAsync),
            (proxy, limit) => Done(proxy.InvokeMethodAsync(nameof(INodeActor.CloseSessionAsync), request, limit)),
            owner => Done(owner.CloseSessionAsync(request, cancellationToken)), cancellationToken);

    public Task MarkLostAsync(MarkNodeLostRequest request, CancellationToken cancellationToken) =>
        CallAsync(
            request.NodeId, nameof(INodeActor.MarkLostAsync),
            (proxy, limit) => Done(proxy.InvokeMethodAsync(nameof(INodeActor.MarkLostAsync), request, limit)),
            owner => Done(owner.MarkLostAsync(request, cancellationToken)), cancellationToken);

    private async Task<T> CallAsync<T>(
        NodeId nodeId, string method, Func<ActorProxy, CancellationToken, Task<T>> throughActor, Func<NodeOwner, Task<T>> here, CancellationToken cancellationToken)
    {
        if (options.Value.UseNodeActors)
        {
            // A sidecar that accepts the call and never answers must not hold up a lease for as long as an HTTP client waits by default.
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(TimeSpan.FromSeconds(options.Value.NodeActorSeconds));
            try
            {
                return await throughActor(proxies.Create(new ActorId(nodeId.ToString()), nameof(NodeActor)), limit.Token);
            }
            catch (Exception exception) when (exception is DaprApiException or HttpRequestException or ActorMethodInvocationException
                || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                // Doing it twice is harmless: a lease is decided by the claim on the unit, a session by its epoch.
                LogActorMissed(logger, exception, nodeId, method);
            }
        }

        var owner = local.GetOrAdd(nodeId, id => new LocalOwner(new NodeOwner(id, leases, sessions), new SemaphoreSlim(1, 1)));
        await owner.Turn.WaitAsync(cancellationToken);
        try
        {
            return await here(owner.Owner);
        }
        finally
        {
            owner.Turn.Release();
        }
    }

    private static async Task<bool> Done(Task task)
    {
        await task;
        return true;
    }

    private sealed record LocalOwner(NodeOwner Owner, SemaphoreSlim Turn);

    [LoggerMessage(LogLevel.Warning, "Actor of node {NodeId} could not be asked for {Method}; done in this process instead")]
    private static partial void LogActorMissed(ILogger logger, Exception exception, NodeId nodeId, string method);
}
