using Npgsql;
using RenderTrust.Sidecar.Conformance.Rig;
using RenderTrust.TestKit;

[assembly: AssemblyFixture(typeof(World))]

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>
/// The sidecars under test and the apps behind them. <c>CONFORMANCE_DAPR_HTTP</c> and the variables beside it (README) name sidecars that run already;
/// without them the embedded host is started, as processes of its own.
/// </summary>
public sealed class World : IAsyncLifetime
{
    public const string ApiToken = "token-of-the-sidecar";
    public const string AppToken = "token-of-the-app";

    private readonly List<IAsyncDisposable> owned = [];
    private readonly EmbeddedHost open = new();
    private readonly EmbeddedHost guarded = new();
    private readonly EmbeddedHost leaving = new();

    public World()
    {
        Main = Named("conformance", "", hasApp: true);
        Sdk = Named("conformance-sdk", "_SDK", hasApp: true);
        Js = Named("conformance-js", "_JS", hasApp: true);
        Bare = Named("conformance-bare", "_BARE", hasApp: false);
        Guarded = Named("conformance-guarded", "_GUARDED", hasApp: true, ApiToken);
        Waiting = Named("conformance-waiting", "_WAITING", hasApp: true);
        Leaving = Named("conformance-leaving", "_LEAVING", hasApp: false);
    }

    /// <summary>True for the embedded host, false for daprd: which column of <see cref="Differences"/> counts.</summary>
    public static bool IsEmbedded { get; } = Variable("CONFORMANCE_DAPR_HTTP") is null || Variable("CONFORMANCE_SIDECAR") == "embedded";

    /// <summary>Has every component; its app is the recording one.</summary>
    public DaprSidecar Main { get; }

    /// <summary>Its app is written with the .NET SDK.</summary>
    public DaprSidecar Sdk { get; }

    /// <summary>Its app is written with the JavaScript SDK, and runs when a test starts it.</summary>
    public DaprSidecar Js { get; }

    /// <summary>Has no app and no component.</summary>
    public DaprSidecar Bare { get; }

    /// <summary>Demands a token of callers and shows one to its app.</summary>
    public DaprSidecar Guarded { get; }

    /// <summary>Its app never comes.</summary>
    public DaprSidecar Waiting { get; }

    /// <summary>There to be shut down.</summary>
    public DaprSidecar Leaving { get; }

    public RecordingApp App { get; private set; } = null!;

    public RecordingApp GuardedApp { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        App = await RecordingApp.StartAsync(Main, ActorAnswers.Configuration, Topics.Subscriptions);
        GuardedApp = await RecordingApp.StartAsync(Guarded, ActorAnswers.GuardedConfiguration, Topics.Guarded);
        owned.AddRange([App, GuardedApp, await SdkApp.StartAsync(Sdk)]);
        if (Variable("CONFORMANCE_DAPR_HTTP") is null)
        {
            await StartEmbeddedAsync();
        }

        await Wait.UntilAsync("the sidecar of an app to come serves", async () => (await Waiting.GetAsync("/v1.0/healthz/outbound")).Status == 204, () => open.Output);
        foreach (var sidecar in new[] { Main, Sdk, Bare, Guarded, Leaving })
        {
            await Wait.UntilAsync($"the sidecar of {sidecar.AppId} is ready", async () => (await sidecar.GetAsync("/v1.0/healthz")).Status == 204,
                () => $"{open.Output}{guarded.Output}{leaving.Output}");
        }
    }

    // Also after a start that failed: what had been started must not outlive the suite.
    public async ValueTask DisposeAsync()
    {
        foreach (var host in new[] { open, guarded, leaving })
        {
            await host.DisposeAsync();
        }

        foreach (var item in owned)
        {
            await item.DisposeAsync();
        }

        foreach (var sidecar in new[] { Main, Sdk, Js, Bare, Guarded, Waiting, Leaving })
        {
            sidecar.Dispose();
        }
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? text : null;

    private static DaprSidecar Named(string appId, string suffix, bool hasApp, string? apiToken = null)
    {
        if (Variable("CONFORMANCE_DAPR_HTTP") is null)
        {
            return new DaprSidecar(appId, $"http://127.0.0.1:{TestPorts.Free()}", $"http://127.0.0.1:{TestPorts.Free()}", hasApp ? TestPorts.Free() : 0, apiToken);
        }

        return new DaprSidecar(appId, Required("CONFORMANCE_DAPR_HTTP" + suffix), Required("CONFORMANCE_DAPR_GRPC" + suffix),
            hasApp ? int.Parse(Required("CONFORMANCE_APP_PORT" + suffix)) : 0, apiToken);
    }

    private static string Required(string name) => Variable(name)
        ?? throw new InvalidOperationException($"{name} is not set, though CONFORMANCE_DAPR_HTTP is. Name all sidecars (README), or none.");

    private async Task StartEmbeddedAsync()
    {
        var database = new TestDatabase();
        await database.InitializeAsync();
        owned.Add(database);
        var redis = await RedisServer.StartAsync();
        owned.Add(redis);
        var npgsql = new NpgsqlConnectionStringBuilder(database.AdminConnectionString);
        var environment = new Dictionary<string, string>
        {
            ["CONFORMANCE_POSTGRES"] = $"host={npgsql.Host} port={npgsql.Port} user={npgsql.Username} database={npgsql.Database}",
            ["CONFORMANCE_REDIS"] = redis.Address,
            ["CONFORMANCE_SECRETS"] = EmbeddedHost.Components("secrets.json"),
            ["CONFORMANCE_SQLITE"] = Path.Combine(open.Folder, "state.db"),
            ["CONFORMANCE_SECRET"] = "whispered",
            ["DAPR_CONFORMANCE_HIDDEN"] = "never told",
        };
        open.Start([Main, Sdk, Js, Bare, Waiting], "open", environment);
        leaving.Start([Leaving], "open", environment);
        guarded.Start([Guarded], "guarded", new Dictionary<string, string> { ["DAPR_API_TOKEN"] = ApiToken, ["APP_API_TOKEN"] = AppToken });
    }
}
