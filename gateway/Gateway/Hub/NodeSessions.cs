using System.Collections.Concurrent;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Hub;

/// <summary>The streams that this replica holds, one per node. A newer stream of a node ends the older one.</summary>
internal sealed class NodeSessions
{
    private readonly ConcurrentDictionary<NodeId, NodeSession> sessions = new();

    public IEnumerable<NodeSession> All => sessions.Values;

    public NodeSession? Find(NodeId nodeId) => sessions.GetValueOrDefault(nodeId);

    /// <summary>The higher epoch takes the node's place, whichever comes first: two streams that open together may be answered in any order.</summary>
    public void Add(NodeSession session)
    {
        NodeSession? older = null;
        sessions.AddOrUpdate(
            session.Node.NodeId,
            _ =>
            {
                older = null;
                return session;
            },
            (_, existing) =>
            {
                older = existing.Epoch < session.Epoch ? existing : session;
                return existing.Epoch < session.Epoch ? session : existing;
            });
        older?.End("A newer stream of this node has taken over.");
    }

    /// <summary>Ends every stream, so that a stopping gateway does not wait for nodes that would stay for ever.</summary>
    public void EndAll(string reason)
    {
        foreach (var session in sessions.Values)
        {
            session.End(reason);
        }
    }

    /// <summary>Only if it is still this one: a newer stream must not be forgotten by the end of an older.</summary>
    public void Remove(NodeSession session) => sessions.TryRemove(new KeyValuePair<NodeId, NodeSession>(session.Node.NodeId, session));
}
