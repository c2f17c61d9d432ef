using Npgsql;
using RenderTrust.Sidecar.Actors;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Hosts;

/// <summary>
/// This host among those on one database: tells what it has, sees what the others have, takes its share of the actors and whatever a
/// dead host leaves. What is asked during a call is answered from the last look.
/// </summary>
internal sealed partial class HostDirectory : IAsyncDisposable
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    private readonly HostSchema schema;
    private readonly PostgresStateStore store;
    private readonly AppDirectory apps;
    private readonly ActorRuntime actors;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly NpgsqlDataSource sessions;
    private readonly CancellationTokenSource stopping = new();
    private readonly SemaphoreSlim wake = new(0);
    private readonly Dictionary<Guid, Peer> peers = [];
    private readonly Dictionary<(string Type, short Slot), Task> leaving = [];
    private Task running = Task.CompletedTask;
    private PeerAddress self = new("", "");
    private volatile Placement placement = Placement.None;

    private HostDirectory(PostgresStateStore store, AppDirectory apps, ActorRuntime actors, TimeProvider time, ILogger<HostDirectory> logger)
    {
        this.store = store;
        this.apps = apps;
        this.actors = actors;
        this.time = time;
        this.logger = logger;
        schema = new HostSchema(store.TablePrefix);
        Apps = apps.Apps.Where(app => app.Components.ActorStore?.Store == store).ToHashSet();
        sessions = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(store.ConnectionString) { Pooling = false });
    }

    /// <summary>Those of this host whose actors are kept in the database.</summary>
    public IReadOnlySet<HostedApp> Apps { get; }

    public bool HasPeers => placement.Peers.Count > 0;

    public static async Task<HostDirectory> OpenAsync(
        PostgresStateStore store, AppDirectory apps, ActorRuntime actors, TimeProvider time, ILogger<HostDirectory> logger, CancellationToken cancellationToken)
    {
        var directory = new HostDirectory(store, apps, actors, time, logger);
        await directory.schema.CreateAsync(store.Database, cancellationToken);
        return directory;
    }

    /// <summary>Once the address of this host answers.</summary>
    public void Start(PeerAddress address)
    {
        self = address;
        actors.HostsChanged += Wake;
        foreach (var app in apps.Apps)
        {
            app.Changed += Wake;
        }

        running = RunAsync(stopping.Token);
    }

    /// <summary>Null when no host has actors of the type.</summary>
    public Seat? Find(ActorKey key)
    {
        var now = placement;
        if (!now.Seats.TryGetValue(key.Type, out var seats))
        {
            return null;
        }

        var seat = seats[SlotRules.SlotOf(key.Id)];
        return seat.Hold is null || now.Session!.IsLeaseValid ? seat : default(Seat);
    }

    /// <summary>Empty when the hold is not, or not certainly, what it was.</summary>
    public Seat SeatOf(Hold hold) =>
        placement is { Session.IsLeaseValid: true } now && now.Seats.TryGetValue(hold.Type, out var seats) && seats[hold.Slot].Hold == hold ? seats[hold.Slot] : default;

    /// <summary>Whether the hold is certainly still ours. Where our lease is over only because this machine is slow, that is known after the next look.</summary>
    public async Task<bool> ConfirmAsync(Hold hold, CancellationToken cancellationToken)
    {
        while (placement is { Session: { } session } now && now.Seats.TryGetValue(hold.Type, out var seats) && seats[hold.Slot].Hold == hold)
        {
            if (session.IsLeaseValid)
            {
                return true;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(25), time, cancellationToken);
        }

        return false;
    }

    /// <summary>Hosts other than this one where the app is ready.</summary>
    public IReadOnlyList<Peer> PeersWith(string appId) =>
        [.. placement.View.HostsWithApp(appId).Select(placement.Peers.GetValueOrDefault).OfType<Peer>()];

    public IEnumerable<string> AppIds => placement.View.AppIds;

    /// <summary>Writes an actor's state, unless its slot has another owner by now.</summary>
    public Task WriteAsync(Hold hold, IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        store.TransactAsync(schema.Fence(hold), writes, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        actors.HostsChanged -= Wake;
        await stopping.CancelAsync();
        await running;
        foreach (var peer in peers.Values)
        {
            peer.Dispose();
        }

        await sessions.DisposeAsync();
        stopping.Dispose();
        wake.Dispose();
    }

    private void Wake()
    {
        if (!stopping.IsCancellationRequested && wake.CurrentCount == 0)
        {
            wake.Release();
        }
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await using var session = await HostSession.OpenAsync(await sessions.OpenConnectionAsync(cancellationToken), schema.Session, time, cancellationToken);
                await ServeAsync(session, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                // The top of a loop: a host that does not know what it owns begins anew as another one.
                LogSessionLost(logger, e);
            }

            await LoseAsync(cancellationToken);
        }
    }

    private async Task ServeAsync(HostSession session, CancellationToken cancellationToken)
    {
        var published = "";
        try
        {
            while (true)
            {
                published = await LookAsync(session, published, cancellationToken);
                await wake.WaitAsync(LookInterval, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            placement = Placement.None;

            // Not the ended token: without this the others would wait until our connection is seen to be closed.
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5), time);
            await session.EndAsync(schema.End(session.HostId, session.LockId), limit.Token);
        }
    }

    /// <summary>Nothing is ours any more. Before we ask for anything again, the apps hear that their actors are not active.</summary>
    private async Task LoseAsync(CancellationToken cancellationToken)
    {
        placement = Placement.None;
        leaving.Clear();
        foreach (var peer in peers.Values)
        {
            peer.Dispose();
        }

        peers.Clear();
        try
        {
            await actors.RetireAsync(this, static (_, _) => true);
            await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(100, 500)), time, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The loop's own condition ends it.
        }
    }

    [LoggerMessage(LogLevel.Warning, "This host's session with the others on its database has ended; it begins a new one and owns no actors until then")]
    private static partial void LogSessionLost(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "A host on this database hangs and was cut off, but could not be: {Cause}. Let all hosts use the same database role")]
    private static partial void LogNotCutOff(ILogger logger, string cause);

    [LoggerMessage(LogLevel.Information, "Actors of type {Type}: {Claimed} slots claimed, {Left} handed over; {Hosts} hosts have the type")]
    private static partial void LogShared(ILogger logger, string type, int claimed, int left, int hosts);

    /// <summary>What calls are answered from; replaced whole.</summary>
    private sealed record Placement(HostSession? Session, HostView View, Dictionary<Guid, Peer> Peers, Dictionary<string, Seat[]> Seats)
    {
        public static Placement None { get; } = new(null, new HostView(), [], []);
    }
}
