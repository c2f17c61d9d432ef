namespace RenderTrust.Cli.Platform.Daprd;

/// <param name="Id">App id.</param>
/// <param name="Directory">Absolute; its command runs there.</param>
internal sealed record ServiceProgram(string Id, string Directory, IReadOnlyList<string> Command);

/// <param name="Name">As in <c>status</c>.</param>
/// <param name="Port">Where it must listen before the next one starts; null when nothing waits for it.</param>
internal sealed record PlannedProgram(string Name, IReadOnlyList<string> Command, string Directory, int? Port = null);

/// <summary>
/// The processes of a platform on the real daprd, in the order of their start: placement and scheduler, then each service's daprd and the service.
/// Their environment is not part of the plan, because there are secrets in it.
/// </summary>
internal static class DaprdPlan
{
    public const string Kind = "daprd";

    public const string PlacementName = "dapr-placement";

    public const string SchedulerName = "dapr-scheduler";

    private const string Loopback = "127.0.0.1";

    /// <summary>Names and default numbers of the ports that only this kind needs.</summary>
    public static readonly IReadOnlyList<(string Name, int Default)> Ports =
    [
        (PlacementName, 55005), ($"{PlacementName}.raft", 58201), ($"{PlacementName}.health", 58080),
        (SchedulerName, 55006), ($"{SchedulerName}.etcd", 52379), ($"{SchedulerName}.peer", 52380), ($"{SchedulerName}.health", 58081),
    ];

    public static string SidecarOf(string service) => $"{service}-daprd";

    /// <summary>The process that holds a port.</summary>
    public static string PartOf(string port) => port.Split('.') switch
    {
        ["gateway"] or ["hub"] => "gateway",
        [var service, "http" or "grpc"] => SidecarOf(service),
        [var part, ..] => part,
        _ => port,
    };

    /// <summary>What has to end before the stores do.</summary>
    public static bool IsOfServices(string name, IEnumerable<string> all) =>
        name.EndsWith("-daprd", StringComparison.Ordinal) || all.Contains(SidecarOf(name));

    public static IReadOnlyList<PlannedProgram> Create(DaprdPrograms programs, PlatformPaths paths, PortPlan ports, string broker, IReadOnlyList<ServiceProgram> services)
    {
        var planned = new List<PlannedProgram>
        {
            new(PlacementName,
                [
                    programs.Placement, "--listen-address", Loopback, "--port", $"{ports[PlacementName]}",
                    "--initial-cluster", $"dapr-placement-0={Loopback}:{ports[$"{PlacementName}.raft"]}",
                    "--healthz-listen-address", Loopback, "--healthz-port", $"{ports[$"{PlacementName}.health"]}", "--enable-metrics=false",
                ],
                paths.RepositoryRoot, ports[PlacementName]),
            new(SchedulerName,
                [
                    programs.Scheduler, "--listen-address", Loopback, "--port", $"{ports[SchedulerName]}",
                    // Sidecars use the address that it tells them, which by itself is none of loopback.
                    "--override-broadcast-host-port", $"{Loopback}:{ports[SchedulerName]}",
                    "--etcd-data-dir", Path.Combine(paths.Root, "dapr-scheduler"),
                    "--etcd-client-listen-address", Loopback, "--etcd-client-port", $"{ports[$"{SchedulerName}.etcd"]}",
                    "--etcd-initial-cluster", $"dapr-scheduler-server-0=http://{Loopback}:{ports[$"{SchedulerName}.peer"]}",
                    "--healthz-listen-address", Loopback, "--healthz-port", $"{ports[$"{SchedulerName}.health"]}", "--enable-metrics=false",
                ],
                paths.RepositoryRoot, ports[SchedulerName]),
        };
        foreach (var service in services)
        {
            planned.Add(new PlannedProgram(
                SidecarOf(service.Id),
                [
                    programs.Daprd, "--app-id", service.Id, "--app-port", $"{ports[$"{service.Id}.app"]}", "--app-protocol", "http", "--app-channel-address", Loopback,
                    "--dapr-http-port", $"{ports[$"{service.Id}.http"]}", "--dapr-grpc-port", $"{ports[$"{service.Id}.grpc"]}", "--dapr-listen-addresses", Loopback,
                    "--placement-host-address", $"{Loopback}:{ports[PlacementName]}", "--scheduler-host-address", $"{Loopback}:{ports[SchedulerName]}",
                    "--resources-path", Path.Combine(paths.RepositoryRoot, "components", "base"),
                    "--resources-path", Path.Combine(paths.RepositoryRoot, "components", broker),
                    "--enable-metrics=false",
                ],
                service.Directory));
            planned.Add(new PlannedProgram(service.Id, service.Command, service.Directory));
        }

        return planned;
    }

    /// <summary>What a sidecar tells an app of itself: the same that `dapr run` sets.</summary>
    public static Dictionary<string, string> EnvironmentOf(string service, PortPlan ports) => new()
    {
        ["APP_ID"] = service,
        ["APP_PORT"] = $"{ports[$"{service}.app"]}",
        ["APP_PROTOCOL"] = "http",
        ["APP_CHANNEL_ADDRESS"] = Loopback,
        ["DAPR_HTTP_PORT"] = $"{ports[$"{service}.http"]}",
        ["DAPR_GRPC_PORT"] = $"{ports[$"{service}.grpc"]}",
    };
}
