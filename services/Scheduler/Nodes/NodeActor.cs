using Dapr.Actors.Runtime;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>
/// The node's owner as a Dapr actor: the runtime gives it turns, one at a time over all replicas.
/// It stores no actor state: the tables are the truth, and a duplicate activation loses on their constraints.
/// </summary>
internal sealed class NodeActor(ActorHost host, LeaseSlot leases, NodeSessions sessions) : Actor(host), INodeActor
{
    private readonly NodeOwner owner = new(new NodeId(Guid.ParseExact(host.Id.GetId(), "D")), leases, sessions);

    // Actor methods have no token of their own. Leases and sessions are short transactions and are better finished than left in doubt.
    public Task<LeaseResponse> LeaseAsync(LeaseRequest request) => owner.LeaseAsync(request, CancellationToken.None);

    public Task<OpenNodeSessionResponse> OpenSessionAsync(OpenNodeSessionRequest request) => owner.OpenSessionAsync(request, CancellationToken.None);

    public Task CloseSessionAsync(CloseNodeSessionRequest request) => owner.CloseSessionAsync(request, CancellationToken.None);

    public Task MarkLostAsync(MarkNodeLostRequest request) => owner.MarkLostAsync(request, CancellationToken.None);
}
