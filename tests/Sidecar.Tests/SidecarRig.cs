using System.Text;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

internal sealed record RigApp(string Id, int AppPort, int HttpPort, int GrpcPort)
{
    public string Http => $"http://127.0.0.1:{HttpPort}";
    public string Grpc => $"http://127.0.0.1:{GrpcPort}";
}

/// <summary>A sidecar host in the test process, with its files in a folder of its own.</summary>
internal sealed class SidecarRig : IAsyncDisposable
{
    private readonly List<(RigApp App, IReadOnlyList<string> Command, string Extra)> apps = [];

    public string Root { get; } = Directory.CreateTempSubdirectory("rt-sidecar-").FullName;
    public string RunFile => Path.Combine(Root, "dapr.yaml");
    public string StatusFile => Path.Combine(Root, "status.json");
    public string? DaprApiToken { get; init; }
    public SpanSink? SpanSink { get; init; }
    public HttpClient Client { get; } = new();
    public SidecarHost? Host { get; private set; }

    public RigApp AddApp(string id, IReadOnlyList<string>? command = null, string extra = "", bool withPort = true)
    {
        var app = new RigApp(id, withPort ? TestPorts.Free() : 0, TestPorts.Free(), TestPorts.Free());
        apps.Add((app, command ?? [], extra));
        Directory.CreateDirectory(Path.Combine(Root, id));
        return app;
    }

    public void Resource(string name, string yaml)
    {
        Directory.CreateDirectory(Path.Combine(Root, "resources"));
        File.WriteAllText(Path.Combine(Root, "resources", name + ".yaml"), yaml);
    }

    public void Component(string name, string type, string version = "v1", string metadata = "", string scopes = "") => Resource(name, $"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: {name}
        spec:
          type: {type}
          version: {version}
          metadata: [{metadata}]
        {(scopes.Length > 0 ? $"scopes: [{scopes}]" : "")}
        """);

    public static string Setting(string name, string value) => $"{{name: {name}, value: \"{value}\"}}";

    public void WriteRunFile()
    {
        var text = new StringBuilder("version: 1\n");
        if (Directory.Exists(Path.Combine(Root, "resources")))
        {
            text.Append("common:\n  resourcesPath: ./resources\n");
        }

        text.Append("apps:\n");
        foreach (var (app, command, extra) in apps)
        {
            text.Append($"  - appID: {app.Id}\n    appDirPath: ./{app.Id}\n    daprHTTPPort: {app.HttpPort}\n    daprGRPCPort: {app.GrpcPort}\n");
            if (app.AppPort != 0)
            {
                text.Append($"    appPort: {app.AppPort}\n");
            }

            if (command.Count > 0)
            {
                text.Append($"    command: [{string.Join(", ", command.Select(part => $"'{part.Replace("'", "''", StringComparison.Ordinal)}'"))}]\n");
            }

            text.Append(extra);
        }

        File.WriteAllText(RunFile, text.ToString());
    }

    public SidecarOptions Options => new()
    {
        RunFile = RunFile,
        StatusFile = StatusFile,
        DaprApiToken = DaprApiToken,
        SpanSink = SpanSink,
        AppApiToken = "token-of-the-apps",
        LogLevel = Microsoft.Extensions.Logging.LogLevel.Error,
        Supervisor = new SupervisorOptions
        {
            WatchInterval = TimeSpan.FromMilliseconds(50),
            BackoffMin = TimeSpan.FromMilliseconds(50),
            SubscribeRetryDelay = TimeSpan.FromMilliseconds(50),
        },
    };

    public async Task StartAsync(bool untilReady = true)
    {
        WriteRunFile();
        Host = await SidecarHost.StartAsync(Options, TimeProvider.System, TestContext.Current.CancellationToken);
        if (untilReady)
        {
            await ReadyAsync();
        }
    }

    public Task ReadyAsync() => Wait.UntilAsync("every app is ready",
        () => Host!.Apps.Apps.All(app => app.State.Health == AppHealth.Ready),
        () => string.Join("; ", Host!.Apps.Apps.Select(app => $"{app.Id}: {app.State}")));

    public async Task StopAsync()
    {
        if (Host is not null)
        {
            await Host.DisposeAsync();
            Host = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Client.Dispose();
        Directory.Delete(Root, recursive: true);
    }
}
