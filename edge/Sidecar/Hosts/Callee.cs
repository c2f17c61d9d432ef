using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Hosts;

/// <summary>Where a call goes: to an app of this host, or to the host that passes it on to its own.</summary>
internal sealed class Callee
{
    private Callee(string appId, HostedApp? app, Peer? peer)
    {
        AppId = appId;
        App = app;
        Peer = peer;
    }

    /// <summary>Of an actor elsewhere: its type, since that is what finds the app there.</summary>
    public string AppId { get; }

    public HostedApp? App { get; }

    public Peer? Peer { get; }

    public string Address => App?.Address ?? Peer!.Address.Address;

    /// <summary>Ends when waiting for an answer has become pointless.</summary>
    public CancellationToken Gone => Peer?.Gone ?? CancellationToken.None;

    public static Callee Of(HostedApp app) => new(app.Id, app, null);

    public static Callee At(Peer peer, string appId) => new(appId, null, peer);
}

/// <summary>What hosts say to each other beside the call that is passed on.</summary>
internal static class PeerHeaders
{
    public const string Secret = "rendertrust-host";

    /// <summary>The app that an invocation is for; a call of an actor has none, its path says whom it is for.</summary>
    public const string Callee = "rendertrust-callee";

    /// <summary>The answer to what this host does not have any more: nothing has been done, ask elsewhere.</summary>
    public const string NotHere = "rendertrust-not-here";

    /// <summary>For the apps: see <see cref="Actors.ActorTurn.Token"/>.</summary>
    public const string ActorToken = "rendertrust-actor-token";
}
