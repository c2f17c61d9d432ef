using System.Collections.Concurrent;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Hub;

/// <summary>The streams that this replica holds, one per node. A newer stream of a node ends the older one.</summary>
internal sealed class NodeSessions
{
    private readonly ConcurrentDictionary<NodeId, NodeSession> sessions = new();

    public IEnumerable<NodeSession> All => sessions.Values;

    public NodeSession? Find(NodeId nodeId) => sessions.GetValueOrDefault(nodeId);

    /// <summary>Takes the node's place and ends whoever had it.</summary>
    public void Add(NodeSession session)
    {
        NodeSession? older = null;
        sessions.AddOrUpdate(session.Node.NodeId, session, (_, existing) =>
        {
            older = existing;
            return session;
        });
        older?.End("A newer stream of this node has taken over.");
    }

    /// <summary>Only if it is still this one: a newer stream must not be forgotten by the end of an older.</summary>
    public void Remove(NodeSession session) => sessions.TryRemove(new KeyValuePair<NodeId, NodeSession>(session.Node.NodeId, session));
}
