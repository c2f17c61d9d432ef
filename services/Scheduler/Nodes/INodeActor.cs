using Dapr.Actors;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>One node's turn-ordered owner. Public because the actor runtime dispatches to it from an assembly of its own.</summary>
public interface INodeActor : IActor
{
    Task<LeaseResponse> LeaseAsync(LeaseRequest request);

    Task<OpenNodeSessionResponse> OpenSessionAsync(OpenNodeSessionRequest request);

    Task CloseSessionAsync(CloseNodeSessionRequest request);

    Task MarkLostAsync(MarkNodeLostRequest request);
}

/// <param name="SeenBefore">The node is lost only if it has not been seen since; a heartbeat in between wins.</param>
public sealed record MarkNodeLostRequest(NodeId NodeId, DateTimeOffset SeenBefore);
