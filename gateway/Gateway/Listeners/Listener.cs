namespace RenderTrust.Gateway.Listeners;

/// <summary>The doors of the gateway. Each route but health answers at exactly one kind of door.</summary>
internal enum Listener
{
    /// <summary>Mutual TLS for nodes: every connection that is none of the others.</summary>
    Nodes,

    /// <summary>Creators and other agents.</summary>
    Public,

    /// <summary>The app port, on loopback: the own sidecar.</summary>
    Internal,

    /// <summary>An orchestrator's probes: health and nothing else.</summary>
    Health,
}

/// <summary>Put on a connection by the listener that accepted it: the one fact about a request that its sender cannot choose.</summary>
internal sealed record ListenerFeature(Listener Listener);
