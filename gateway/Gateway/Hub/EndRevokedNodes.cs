using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Hub;

/// <summary>Ends the streams of nodes as soon as the list of revocations names them.</summary>
internal sealed partial class EndRevokedNodes(Revocations revocations, NodeSessions sessions, ILogger<EndRevokedNodes> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        revocations.Changed += OnChanged;
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        revocations.Changed -= OnChanged;
        return Task.CompletedTask;
    }

    private void OnChanged(object? sender, RevocationsChangedEventArgs change)
    {
        foreach (var session in sessions.All.Where(session => change.Snapshot.Nodes.Contains(session.Node.NodeId)))
        {
            LogRevoked(logger, session.Node.NodeId);
            session.End("The node has been revoked.");
        }
    }

    [LoggerMessage(LogLevel.Information, "Node {NodeId} is revoked; its stream was ended")]
    private static partial void LogRevoked(ILogger logger, NodeId nodeId);
}
