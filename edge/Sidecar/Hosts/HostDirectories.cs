using RenderTrust.Sidecar.Actors;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Hosts;

/// <summary>The directories of this host, one for each database that has actor state, and its own apps.</summary>
internal sealed class HostDirectories(AppDirectory apps, IReadOnlyList<HostDirectory> all) : IAsyncDisposable
{
    private int turn;

    public static HostDirectories None { get; } = new(new AppDirectory([]), []);

    public static async Task<HostDirectories> OpenAsync(
        AppDirectory apps, ActorRuntime actors, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var all = new List<HostDirectory>();
        foreach (var store in apps.Apps.Select(app => app.Components.ActorStore?.Store).OfType<PostgresStateStore>().Distinct())
        {
            all.Add(await HostDirectory.OpenAsync(store, apps, actors, time, loggers.CreateLogger<HostDirectory>(), cancellationToken));
        }

        return new HostDirectories(apps, all);
    }

    /// <summary>Once the address answers.</summary>
    public void Start(PeerAddress self)
    {
        foreach (var directory in all)
        {
            directory.Start(self);
        }
    }

    /// <summary>Null when no host with a database in common has actors of the type.</summary>
    public Seat? Find(ActorKey key)
    {
        foreach (var directory in all)
        {
            if (directory.Find(key) is { } seat)
            {
                return seat;
            }
        }

        return null;
    }

    /// <summary>The directory that the app's actors are divided by; null when they are this host's alone.</summary>
    public HostDirectory? For(HostedApp app)
    {
        foreach (var directory in all)
        {
            if (directory.Apps.Contains(app))
            {
                return directory;
            }
        }

        return null;
    }

    /// <summary>
    /// Whom a call of the app may go to, in the order to try them. One after the other gets the first place; an app that calls
    /// itself means itself, as with daprd.
    /// </summary>
    public IReadOnlyList<Callee> Candidates(HostedApp caller, string appId)
    {
        var here = apps.Find(appId);
        if (here is { HasPort: true } && (here == caller || !all.Any(directory => directory.HasPeers)))
        {
            return [Callee.Of(here)];
        }

        var found = all.SelectMany(directory => directory.PeersWith(appId)).DistinctBy(peer => peer.Address.Secret).Select(peer => Callee.At(peer, appId)).ToList();
        if (here is { HasPort: true } && (here.State.Health == AppHealth.Ready || found.Count == 0))
        {
            found.Insert(0, Callee.Of(here));
        }

        if (found.Count > 1)
        {
            var first = (int)((uint)Interlocked.Increment(ref turn) % found.Count);
            found = [.. found[first..], .. found[..first]];
        }

        return found;
    }

    public string KnownApps() => string.Join(", ", apps.Apps.Select(app => app.Id).Union(all.SelectMany(directory => directory.AppIds)));

    public async ValueTask DisposeAsync()
    {
        foreach (var directory in all)
        {
            await directory.DisposeAsync();
        }
    }
}
