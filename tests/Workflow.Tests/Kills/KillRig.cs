using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Npgsql;
using RenderTrust.TestKit;
using RenderTrust.Workflow.Tests.EndToEnd;
using RenderTrust.WorkflowLoad;
using Hub = RenderTrust.TaskHubProtocol.TaskHubSidecarService.TaskHubSidecarServiceClient;

namespace RenderTrust.Workflow.Tests.Kills;

/// <summary>One sidecar host or several on one database, workers on each, and clients at all of them.</summary>
internal sealed class KillRig : IAsyncDisposable
{
    /// <summary>How long anything may take to come back, on a machine that does other things as well.</summary>
    public static readonly TimeSpan BackLimit = TimeSpan.FromMinutes(3);

    private const int Clients = 8;

    private readonly CancellationTokenSource enough = new();
    private readonly CancellationTokenSource abort = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly List<App> apps = [];
    private readonly List<GrpcChannel> channels = [];
    private readonly List<Door> doors = [];
    private readonly NpgsqlDataSource database;
    private readonly EffectBook book;
    private Task starting = Task.CompletedTask;

    private KillRig(string connectionString)
    {
        database = NpgsqlDataSource.Create(connectionString);
        book = new EffectBook(database);
    }

    public List<SidecarProcess> Sidecars { get; } = [];

    public List<WorkerProcess> Workers { get; } = [];

    public Starters Starters { get; private set; } = null!;

    public static int Seed { get; } = int.TryParse(Environment.GetEnvironmentVariable("RENDERTRUST_SEED"), out var given) ? given : Random.Shared.Next();

    public static bool IsLong => Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Events and reminders beside the workflows, where there are brokers.</summary>
    public EventApp? Events { get; private set; }

    public static async Task<KillRig> StartAsync(TestDatabase database, int hosts, int workersEach, (string Redis, string Rabbit)? brokers = null)
    {
        var rig = new KillRig(database.AdminConnectionString);
        await rig.book.CreateAsync(Token);
        for (var host = 0; host < hosts; host++)
        {
            var sidecar = new SidecarProcess(database) { Brokers = brokers };
            rig.Sidecars.Add(sidecar);
            await sidecar.StartAsync();
            if (brokers is not null)
            {
                rig.Events = await EventApp.StartAsync(sidecar);
            }

            for (var worker = 0; worker < workersEach; worker++)
            {
                rig.Workers.Add(new WorkerProcess(sidecar.One.Grpc, sidecar.ApiToken, $"{database.AdminConnectionString};Maximum Pool Size=10"));
                rig.Workers[^1].Launch();
            }

            rig.apps.Add(await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, _ => { }));
            rig.doors.Add(new Door(rig.Connect(sidecar), rig.apps[^1].Client));
        }

        rig.Starters = new Starters(rig.doors, Seed);
        rig.starting = Task.WhenAll(
            rig.Starters.RunAsync(Clients, rig.enough.Token, rig.abort.Token), rig.Events?.RunAsync(KillRig.Seed, rig.enough.Token, rig.abort.Token) ?? Task.CompletedTask);
        return rig;
    }

    public Hub HubOf(SidecarProcess sidecar) => doors[Sidecars.IndexOf(sidecar)].Hub;

    /// <summary>Waits until a client has seen another end; fails at once when a sidecar has ended by itself.</summary>
    public async Task WorkflowsEndAsync(params SidecarProcess[] running)
    {
        var before = Starters.Ended.Count;
        await Wait.UntilAsync("workflows end again", () =>
        {
            Array.ForEach(running, sidecar => sidecar.AssertRunning());
            return Starters.Ended.Count > before;
        }, Describe, BackLimit);
    }

    /// <summary>No more starts; what was started comes to its end. Then looks at everything.</summary>
    public async Task<Verdict> EndAsync()
    {
        await enough.CancelAsync();
        await Wait.UntilAsync("all workflows have ended", () => starting.IsCompleted, Describe, BackLimit);
        await starting;
        if (Events is { } events)
        {
            await Wait.UntilAsync("all that was acknowledged is heard", () => !events.Missing.Any(), () => $"{string.Join(", ", events.Missing.Take(20))}\n{Describe()}", BackLimit);
        }

        return await Verdict.ReadAsync(Starters.Ended, book, database, doors[0].Hub, "one", Token);
    }

    public async ValueTask DisposeAsync()
    {
        await abort.CancelAsync();
        await starting.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        foreach (var app in apps)
        {
            await app.DisposeAsync();
        }

        if (Events is not null)
        {
            await Events.DisposeAsync();
        }

        channels.ForEach(static channel => channel.Dispose());
        Workers.ForEach(static worker => worker.Dispose());
        foreach (var sidecar in Sidecars)
        {
            await sidecar.DisposeAsync();
        }

        await database.DisposeAsync();
        enough.Dispose();
        abort.Dispose();
    }

    private string Describe() =>
        $"{Starters.Ended.Count} ended, {Starters.Open.Count} open: {string.Join(", ", Starters.Open.Take(20).Select(open => $"the client of {open.Key} {open.Value}"))}\n"
        + string.Join('\n', Sidecars.Select(sidecar => $"Sidecar:\n{sidecar.Output}").Concat(Workers.Select(worker => $"Worker:\n{worker.Output}")));

    private Hub Connect(SidecarProcess sidecar)
    {
        // A channel's own pause after failures would be longer than most of what is watched here.
        var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{sidecar.One.Grpc}", new GrpcChannelOptions
        {
            InitialReconnectBackoff = TimeSpan.FromMilliseconds(100), MaxReconnectBackoff = TimeSpan.FromSeconds(1),
        });
        channels.Add(channel);
        return new Hub(channel.Intercept(metadata =>
        {
            metadata.Add("dapr-api-token", sidecar.ApiToken);
            return metadata;
        }));
    }
}
