using System.Collections.Concurrent;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.Hosting;

internal enum AppHealth
{
    /// <summary>Not yet listening, or not yet asked for its subscriptions and actors.</summary>
    Starting = 0,
    Ready = 1,

    /// <summary>Listening, but its own health check fails.</summary>
    Unhealthy = 2,

    /// <summary>Died; the supervisor waits before it starts it again.</summary>
    BackingOff = 3,
    Stopped = 4,
}

/// <summary>An app at run time: where it listens, what it may use, how it does.</summary>
internal sealed class HostedApp(AppDefinition definition, AppComponents components, string logPath, TimeProvider time)
{
    private volatile AppState state = new(AppHealth.Starting, null, 0, null);

    public string Id => definition.AppId;
    public AppDefinition Definition => definition;
    public AppComponents Components => components;
    public AppConfiguration Configuration { get; init; } = AppConfiguration.Default;
    public AppResilience Resilience { get; init; } = AppResilience.None;
    public string LogPath => logPath;
    public TimeProvider Time => time;

    /// <summary>Scheme, host and port; a raw path can be appended.</summary>
    public string Address { get; } = $"http://{definition.ChannelAddress}:{definition.AppPort}";
    public bool HasPort => definition.AppPort != 0;

    /// <summary>It serves its own gRPC services and none of the HTTP routes that a sidecar asks.</summary>
    public bool SpeaksGrpc => definition.Protocol == "grpc";

    /// <summary>What PUT /v1.0/metadata/{key} has set.</summary>
    public ConcurrentDictionary<string, string> ExtendedMetadata { get; } = new();

    public IReadOnlyList<Subscription> Subscriptions { get; set; } = [];
    public Actors.ActorConfiguration ActorConfiguration { get; set; } = Actors.ActorConfiguration.None;
    public AppState State => state;

    public event Action? Changed;

    /// <summary>Returns once the app's own health check no longer fails.</summary>
    public async Task UntilWellAsync(CancellationToken cancellationToken)
    {
        var well = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Look()
        {
            if (state.Health != AppHealth.Unhealthy)
            {
                well.TrySetResult();
            }
        }

        Changed += Look;
        try
        {
            // It may have changed before we listened.
            Look();
            await well.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            Changed -= Look;
        }
    }

    public void Update(Func<AppState, AppState> change)
    {
        state = change(state);
        Changed?.Invoke();
    }
}

/// <param name="Message">The last thing that went wrong, in words for the status file.</param>
internal sealed record AppState(AppHealth Health, int? ProcessId, int Restarts, string? Message);

/// <summary>All apps of this host, by id and by the ports of their endpoints.</summary>
internal sealed class AppDirectory
{
    private readonly Dictionary<string, HostedApp> byId = new(StringComparer.Ordinal);
    private readonly Dictionary<int, HostedApp> byPort = [];

    public AppDirectory(IReadOnlyList<HostedApp> apps)
    {
        Apps = apps;
        foreach (var app in apps)
        {
            byId.Add(app.Id, app);
            byPort.Add(app.Definition.HttpPort, app);
            byPort.Add(app.Definition.GrpcPort, app);
        }
    }

    public IReadOnlyList<HostedApp> Apps { get; }

    // The HttpClient form of the .NET package puts the app id into a URL's host, which lower-cases it.
    public HostedApp? Find(string appId) =>
        byId.TryGetValue(appId, out var app) ? app : byId.Values.FirstOrDefault(other => other.Id.Equals(appId, StringComparison.OrdinalIgnoreCase));

    /// <summary>Null for the port that other hosts call.</summary>
    public HostedApp? ByPort(int port) => byPort.GetValueOrDefault(port);
}
