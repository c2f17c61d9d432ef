namespace RenderTrust.Sidecar.Configuration;

/// <summary>One app told by daprd's own flags instead of a run file.</summary>
internal static class AppArguments
{
    /// <summary>What stands for the file's name when a flag is at fault later.</summary>
    public const string Source = "command line";

    public static readonly IReadOnlyCollection<string> Names =
    [
        "app-id", "app-port", "app-protocol", "app-channel-address", "dapr-http-port", "dapr-grpc-port", "dapr-listen-addresses", "config", "max-body-size",
        "dapr-http-max-request-size", "mode",
        "app-health-check-path", "app-health-probe-interval", "app-health-probe-timeout", "app-health-threshold",
    ];

    public static readonly IReadOnlyCollection<string> Switches = ["enable-app-health-check"];

    /// <summary>daprd's flags that have no meaning here and do no harm.</summary>
    public static readonly IReadOnlyCollection<string> UnusedNames =
        ["placement-host-address", "scheduler-host-address", "metrics-port", "dapr-internal-grpc-port", "dapr-graceful-shutdown-seconds"];

    public static readonly IReadOnlyCollection<string> UnusedSwitches = ["enable-metrics", "enable-api-logging", "log-as-json"];

    /// <param name="flags">As given.</param>
    /// <param name="httpPort">Of the Dapr HTTP API when none is given; 0 takes a free one.</param>
    /// <param name="grpcPort">Likewise for gRPC.</param>
    public static AppDefinition Read(Flags flags, int httpPort, int grpcPort)
    {
        var appId = flags.Text("app-id") ?? throw new UsageException("--app-id: is missing");
        if (!AppDefinition.IsAppId(appId))
        {
            throw new UsageException($"--app-id {appId}: is not an app id, use letters, digits, '-' and '_'");
        }

        RefuseElsewhere(flags);
        var directory = Directory.GetCurrentDirectory();
        var app = new AppDefinition
        {
            AppId = appId,
            Directory = directory,
            File = Source,
            Line = 1,
            AppPort = Port(flags, "app-port") ?? 0,
            HttpPort = Port(flags, "dapr-http-port") ?? httpPort,
            GrpcPort = Port(flags, "dapr-grpc-port") ?? grpcPort,
            Command = flags.Command,
            LogsToConsole = true,
            ConfigurationFile = flags.Text("config") is { } file ? Path.GetFullPath(file) : null,
            ChannelAddress = flags.Text("app-channel-address") ?? "127.0.0.1",
            Protocol = flags.Text("app-protocol") ?? "http",
            MaxBodyBytes = MaxBody(flags),
            HealthCheckEnabled = flags.Flag("enable-app-health-check"),
            HealthCheckPath = flags.Text("app-health-check-path") ?? "/healthz",
            HealthProbeInterval = TimeSpan.FromSeconds(flags.Number("app-health-probe-interval", 1, 86_400) ?? 5),
            HealthProbeTimeout = TimeSpan.FromMilliseconds(flags.Number("app-health-probe-timeout", 1, 86_400_000) ?? 500),
            HealthThreshold = flags.Number("app-health-threshold", 1, 1_000_000) ?? 3,
        };
        if (!AppDefinition.IsServed(app.Protocol))
        {
            throw new UsageException($"--app-protocol {app.Protocol}: is not served by the embedded sidecar, use {AppDefinition.ServedProtocols}");
        }

        foreach (var (port, what, other) in new[] { (app.HttpPort, "dapr-http-port", app.AppPort), (app.GrpcPort, "dapr-grpc-port", app.AppPort), (app.GrpcPort, "dapr-grpc-port", app.HttpPort) })
        {
            if (port != 0 && port == other)
            {
                throw new UsageException($"--{what} {port}: is given to another endpoint, too");
            }
        }

        return app;
    }

    // The dapr CLI writes -1 where it wants a free one.
    private static int? Port(Flags flags, string name) => flags.Number(name, -1, 65_535) is { } port ? Math.Max(0, port) : null;

    private static long MaxBody(Flags flags) => (flags.Text("max-body-size"), flags.Number("dapr-http-max-request-size", 1, 2047)) switch
    {
        ({ } text, _) => ByteSize.TryParse(text, out var bytes) ? bytes : throw new UsageException($"--max-body-size {text}: is not a size, write for example 16Mi"),
        (null, { } megabytes) => megabytes * 1024L * 1024L,
        _ => 4L * 1024 * 1024,
    };

    private static void RefuseElsewhere(Flags flags)
    {
        if (flags.Text("mode") is { } mode && mode != "standalone")
        {
            throw new UsageException($"--mode {mode}: is not served by the embedded sidecar, use standalone");
        }

        if (flags.Text("dapr-listen-addresses") is { } list && list.Split(',').Any(address => address.Trim() is not ("127.0.0.1" or "localhost" or "::1" or "[::1]")))
        {
            throw new UsageException($"--dapr-listen-addresses {list}: is not loopback, where alone the embedded sidecar listens");
        }
    }
}
