using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform.Brokers;
using RenderTrust.Cli.Platform.Daprd;

namespace RenderTrust.Cli.Platform;

/// <summary>How a local platform is to be started.</summary>
/// <param name="ServiceSettings">Configuration of the services beside the usual one, by environment variable.</param>
/// <param name="Overflow">Null keeps overflow off.</param>
/// <param name="Components">The broker: <c>redis</c> or <c>rabbitmq</c>; null keeps that of a platform which was not taken down, else Redis.</param>
/// <param name="OnlyPrint">Nothing will be started, so nothing has to be installed.</param>
internal sealed record PlatformOptions(
    string Ports, IReadOnlyList<string> PortOverrides, string Sidecar, string? PostgresConnectionString, string Environment,
    IReadOnlyDictionary<string, string>? ServiceSettings = null, LocalOverflow? Overflow = null,
    string? Components = null, bool OnlyPrint = false);

/// <summary>Overflow agents that the scheduler may start on this machine.</summary>
internal sealed record LocalOverflow(int MostAgents, int Slots, string Runner);

/// <summary>
/// The whole control plane as processes of one box: Postgres, the broker, the module registry, and the sidecar host with the services.
/// Each <c>Start…</c> can be repeated: what already runs is left alone.
/// </summary>
internal sealed partial class LocalPlatform
{
    // On one box nobody stands in for a service that is away.
    private const string MostRestartSeconds = "1";

    private readonly List<ManagedProcess> processes = [];
    private readonly PlatformOptions options;

    /// <summary>Dapr's own programs; null on the embedded sidecar.</summary>
    private readonly DaprdPrograms? daprd;

    private LocalPlatform(PlatformPaths paths, PortPlan ports, string broker, PlatformOptions options, DaprdPrograms? daprd, IEnumerable<ManagedProcess> running)
    {
        SidecarKind = SidecarChoice.Decide(options.Sidecar);
        this.daprd = daprd;
        Paths = paths;
        Ports = ports;
        this.options = options;
        processes.AddRange(running);
        Postgres = new PostgresCluster(paths, ports["postgres"], options.PostgresConnectionString);
        Broker = BrokerChoice.Create(broker, paths, ports);
    }

    /// <summary>A platform on these paths: what an earlier start left running is kept with its ports, whatever died is started again.</summary>
    public static async Task<LocalPlatform> OpenAsync(PlatformPaths paths, PlatformOptions options, CancellationToken cancellationToken)
    {
        var earlier = PlatformState.Read(paths);
        var running = earlier?.Processes.Where(process => process.IsRunning).ToList() ?? [];
        var postgresRuns = new PostgresCluster(paths, 0, options.PostgresConnectionString).IsRunning;

        var kind = SidecarChoice.Decide(options.Sidecar);
        SidecarChoice.RefuseSwap(kind, earlier?.Sidecar, running);
        var daprd = kind == DaprdPlan.Kind && !options.OnlyPrint
            ? await DaprdPrograms.FindAsync(System.Environment.GetEnvironmentVariable("PATH") ?? "", cancellationToken)
            : null;
        var broker = BrokerChoice.Decide(options.Components, earlier is null ? null : earlier.Components ?? BrokerChoice.Default, running.Count > 0);

        // Clients know the addresses: after a crash of everything they stay the same unless others were asked for.
        var keepsPorts = earlier is not null && (running.Count > 0 || postgresRuns || (options.Ports == "auto" && options.PortOverrides.Count == 0));
        var ports = keepsPorts
            ? await PortPlan.AgainAsync(
                earlier!.Ports, options.Ports, broker, kind, part => part == "postgres" ? postgresRuns : running.Any(process => process.Name == part), cancellationToken)
            : PortPlan.Create(options.Ports, options.PortOverrides, broker, kind);
        return new LocalPlatform(paths, ports, broker, options, daprd, running);
    }

    public IReadOnlyList<ManagedProcess> Processes => processes;

    public PlatformPaths Paths { get; }

    public PortPlan Ports { get; }

    public PostgresCluster Postgres { get; }

    public ILocalBroker Broker { get; private set; }

    public string SidecarKind { get; }

    public bool HasOverflow => options.Overflow is not null;

    public Uri GatewayUrl => new($"http://127.0.0.1:{Ports["gateway"]}");

    public Uri AgentCardUrl => new(GatewayUrl, "/.well-known/agent-card.json");

    public Uri HubUrl => new($"https://127.0.0.1:{Ports["hub"]}");

    public string RegistryAddress => $"127.0.0.1:{Ports["registry"]}";

    /// <summary>Step 1: the stores that everything else needs.</summary>
    public async Task StartStoresAsync(CancellationToken cancellationToken)
    {
        Paths.CreateFolders();

        // Before anything runs: whoever comes after us, if we are killed, must find what we started.
        SaveState();
        await Postgres.StartAsync(cancellationToken);
        var registry = Shell.Find("docker-registry") ?? throw CliException.NotInstalled("docker-registry");
        var configuration = Path.Combine(Paths.Configuration, "registry.yml");
        await File.WriteAllTextAsync(
            configuration,
            $"version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {Paths.Registry}\nhttp:\n  addr: {RegistryAddress}\n", cancellationToken);
        Run("registry", [registry, "serve", configuration]);
        await StartBrokerAsync(Broker, cancellationToken);
        await EndOtherBrokersAsync(cancellationToken);
        await WaitForPortAsync("registry", Ports["registry"], cancellationToken);
    }

    /// <summary>Starts another broker beside the one that the services use.</summary>
    public async Task<ILocalBroker> StartBesideAsync(string broker, CancellationToken cancellationToken)
    {
        Ports.Include(broker);
        var next = BrokerChoice.Create(broker, Paths, Ports);
        await StartBrokerAsync(next, cancellationToken);
        return next;
    }

    /// <summary>Ends the sidecar host and the services with it: from here on nothing uses the broker. Clients and nodes connect again when they are back.</summary>
    public async Task StopServicesAsync(CancellationToken cancellationToken)
    {
        var sidecar = processes.Last(process => process.Name == "sidecar");
        await sidecar.StopAsync(TimeSpan.FromSeconds(20), cancellationToken);
        if (sidecar.IsRunning)
        {
            throw new CliException($"The sidecar host (process {sidecar.Pid}) could not be ended, so the services stay as they are. Its log tells what it does; ./rendertrust down and up start it anew.", sidecar.LogPath);
        }
    }

    /// <summary>Starts the stopped services over a broker that runs. What they were doing goes on from the database.</summary>
    public async Task StartServicesOverAsync(ILocalBroker broker, CancellationToken cancellationToken)
    {
        // The state names the earlier broker until the host is written down: whoever comes after us, if we are killed before, starts the services over that one.
        SidecarConfiguration.MoveTo(Paths, broker.Name);
        Broker = broker;
        RunSidecar();
        await WaitForHealthAsync(cancellationToken);
    }

    /// <summary>Ends brokers that no service uses, which a change of broker has left.</summary>
    public async Task EndOtherBrokersAsync(CancellationToken cancellationToken)
    {
        foreach (var name in BrokerChoice.ProgramsOfOthers(Broker.Name))
        {
            foreach (var process in processes.Where(process => process.Name == name).ToList())
            {
                await process.StopAsync(TimeSpan.FromSeconds(30), cancellationToken);
                processes.Remove(process);
            }
        }

        SaveState();
    }

    /// <summary>Step 2: the sidecar host, which starts the services and serves each its Dapr endpoints.</summary>
    public async Task StartServicesAsync(CancellationToken cancellationToken)
    {
        if (SidecarKind == DaprdPlan.Kind)
        {
            await StartOnDaprdAsync(cancellationToken);
            return;
        }

        SidecarConfiguration.Write(Paths, Ports, Broker.Name, CommonEnvironment(), app => AppEnvironment(app));
        RunSidecar();
        await WaitForHealthAsync(cancellationToken);
    }

    private void RunSidecar()
    {
        if (!processes.Any(process => process.Name == "sidecar" && process.IsRunning))
        {
            File.Delete(Paths.SidecarStatusFile);
        }

        Run("sidecar", EmbeddedCommand(SidecarConfiguration.FileOf(Paths)), SidecarEnvironment());
    }

    private async Task StartBrokerAsync(ILocalBroker broker, CancellationToken cancellationToken)
    {
        foreach (var program in await broker.PrepareAsync(cancellationToken))
        {
            Run(program.Name, program.Command, program.Environment);
            await WaitForPortAsync(program.Name, program.Port, cancellationToken);
        }
    }

    private string[] EmbeddedCommand(string runFile) =>
    [
        "dotnet", Path.Combine(Paths.RepositoryRoot, "edge/Sidecar/bin/Release/net10.0/RenderTrust.Sidecar.dll"),
        "run", "-f", runFile, "--log-dir", Paths.Logs, "--status-file", Paths.SidecarStatusFile, "--backoff-max", MostRestartSeconds,
        "--span-sink", "scheduler/internal/spans",
    ];

    /// <summary>
    /// Only for sidecars: what components connect with, and the token without which they serve nobody. Whoever can call a sidecar is taken
    /// for its app, so loopback alone would let every local user speak for every service.
    /// </summary>
    private Dictionary<string, string> SidecarEnvironment() => new(Broker.Addresses)
    {
        ["RENDERTRUST_STATE_CONNECTION"] = Postgres.ConnectionStringFor("dapr") + ";Search Path=dapr",
        ["DAPR_API_TOKEN"] = LocalSecrets.ReadOrMake(Paths.Keys, "dapr-api-token"),
    };

    /// <summary>Of every service.</summary>
    private Dictionary<string, string> CommonEnvironment() => new(options.ServiceSettings ?? new Dictionary<string, string>())
    {
        ["RENDERTRUST_ENVIRONMENT"] = options.Environment,
        ["Logging__LogLevel__Default"] = "Information",
        ["METRICS_TOKEN"] = LocalSecrets.ReadOrMake(Paths.Keys, "metrics-token"),
    };

    /// <summary>Starts one edge node that is already enrolled in <paramref name="stateFolder"/>.</summary>
    public void StartNode(int index, string stateFolder, string runner, int slots, bool allowPlainProcess = false)
    {
        Run($"node-{index}",
            [
                "dotnet", AgentProgram, "run", "--state", stateFolder, "--hub", HubUrl.ToString().TrimEnd('/'), "--runner", runner, "--slots", $"{slots}",
                .. allowPlainProcess ? ["--allow-plain-process"] : Array.Empty<string>(),
            ],
            new Dictionary<string, string> { ["RENDERTRUST_ENVIRONMENT"] = options.Environment });
    }

    /// <summary>Starts many simulated nodes in one process; see the agent's <c>fleet</c>.</summary>
    public void StartSimulatedFleet(string tokensFolder, string stateFolder, int slots)
    {
        Run("node-fleet",
            [
                "dotnet", AgentProgram, "fleet", "--gateway", GatewayUrl.ToString(), "--tokens", tokensFolder, "--state", stateFolder,
                "--hub", HubUrl.ToString().TrimEnd('/'), "--slots", $"{slots}",
            ],
            // A line an offer would be thousands a minute.
            new Dictionary<string, string> { ["RENDERTRUST_ENVIRONMENT"] = options.Environment, ["Logging__LogLevel__Default"] = "Warning" });
    }

    public string AgentProgram => Path.Combine(Paths.RepositoryRoot, "edge/Agent/bin/Release/net10.0/RenderTrust.Agent.dll");

    /// <summary>Stops everything in the order that loses nothing: nodes, services, broker, database.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await StopAsync(Paths, processes, Postgres, cancellationToken);
        processes.Clear();
    }

    public static async Task StopAsync(PlatformPaths paths, IReadOnlyList<ManagedProcess> running, PostgresCluster postgres, CancellationToken cancellationToken)
    {
        async Task StopAllAsync(IEnumerable<ManagedProcess> some) => await Task.WhenAll(some.Select(process => process.StopAsync(TimeSpan.FromSeconds(15), cancellationToken)));
        await StopAllAsync(running.Where(process => process.Name.StartsWith("node-", StringComparison.Ordinal)));
        var names = running.Select(process => process.Name).ToList();
        await StopAllAsync(running.Where(process => process.Name == "sidecar" || DaprdPlan.IsOfServices(process.Name, names)));

        // Only now, since the scheduler would start them again while units wait. What they ran waits too, and is leased anew.
        await StopAllAsync(OverflowProcesses.Read(paths));
        await StopAllAsync(running);
        await ManagedProcess.EndAsync("engine", LeftEngines(paths), cancellationToken);
        await postgres.StopAsync(cancellationToken);
        PlatformState.Delete(paths);
    }

    /// <summary>Stops whatever an earlier start left, killed ones too, and deletes its data.</summary>
    public static async Task RemoveAsync(PlatformPaths paths, CancellationToken cancellationToken)
    {
        if (PlatformState.Read(paths) is { } left)
        {
            await StopAsync(paths, left.Processes, new PostgresCluster(paths, left.Ports["postgres"], null), cancellationToken);
        }
        else if (Directory.Exists(paths.Root))
        {
            // Killed before it had written down what it started: the cluster is known by its folder, which is about to go.
            await new PostgresCluster(paths, 0, null).StopAsync(cancellationToken);
        }

        if (Directory.Exists(paths.Root))
        {
            Directory.Delete(paths.Root, recursive: true);
        }
    }

    /// <summary>Container engines of agents that were killed: one that comes back takes its engine over, but now none does.</summary>
    private static List<int> LeftEngines(PlatformPaths paths) =>
    [
        .. ProcessTable.Find(process => process.CommandLine.StartsWith("dockerd ", StringComparison.Ordinal)
            && (process.CommandLine.Contains($"--data-root {paths.Root}/nodes/", StringComparison.Ordinal)
                || process.CommandLine.Contains($"--data-root {paths.Overflow}/", StringComparison.Ordinal))),
    ];

    /// <summary>Waits until the gateway answers with its agent card, or says which service is not well and where its log is.</summary>
    private async Task WaitForHealthAsync(CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
        var watch = Stopwatch.StartNew();
        var last = "no answer yet";
        while (watch.Elapsed < TimeSpan.FromSeconds(90))
        {
            cancellationToken.ThrowIfCancellationRequested();
            RequireFoundations();

            try
            {
                using var card = await http.GetAsync(AgentCardUrl, cancellationToken);
                last = $"HTTP {(int)card.StatusCode}";
                if (card.StatusCode == HttpStatusCode.OK && ServicesNotReady(Paths).Count == 0)
                {
                    return;
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
            {
                last = exception.Message;
            }

            await Task.Delay(100, cancellationToken);
        }

        var missing = ServicesNotReady(Paths);
        var suspect = missing.Count > 0 ? missing[0] : "gateway";
        throw new CliException(
            $"The services were not ready after 90 s (waiting for: {(missing.Count > 0 ? string.Join(", ", missing) : "gateway")}; agent card: {last}). Last lines of {suspect}:\n{ManagedProcess.Tail(Paths.Log(suspect))}",
            Paths.Log(suspect));
    }

    /// <summary>Without one of these no service ever becomes ready, so that waiting on would only cost time.</summary>
    private void RequireFoundations()
    {
        if (Postgres is { IsExternal: false, IsRunning: false })
        {
            throw new CliException($"Postgres ended while the services were starting. Run the same command again.\n{ManagedProcess.Tail(Postgres.LogPath)}", Postgres.LogPath);
        }

        foreach (var name in new[] { Broker.Name, "sidecar" })
        {
            var process = processes.Last(process => process.Name == name);
            if (!process.IsRunning)
            {
                throw new CliException($"{(name == Broker.Name ? $"The broker ({name})" : "The sidecar host")} ended while starting:\n{ManagedProcess.Tail(process.LogPath)}", process.LogPath);
            }
        }
    }

    /// <summary>App ids that the sidecar host does not report healthy.</summary>
    public static IReadOnlyList<string> ServicesNotReady(PlatformPaths paths) =>
        [.. ReadServices(paths).Where(service => service.Health != "ready").Select(service => service.AppId)];

    /// <summary>Of a service; 0 while the sidecar host says of no process.</summary>
    public int PidOf(string service) => ReadServices(Paths).FirstOrDefault(status => status.AppId == service)?.Pid ?? 0;

    public bool IsReady(string service) => ReadServices(Paths).Any(status => status.AppId == service && status.Health == "ready");

    public static IReadOnlyList<ServiceStatus> ReadServices(PlatformPaths paths)
    {
        if (!File.Exists(paths.SidecarStatusFile))
        {
            return [new ServiceStatus("sidecar", 0, "starting", "")];
        }

        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(paths.SidecarStatusFile));
            return
            [
                .. document.RootElement.GetProperty("apps").EnumerateArray().Select(app => new ServiceStatus(
                    app.GetProperty("id").GetString()!,
                    app.TryGetProperty("pid", out var pid) && pid.ValueKind == JsonValueKind.Number ? pid.GetInt32() : 0,
                    app.GetProperty("health").GetString()!,
                    app.TryGetProperty("log", out var log) ? log.GetString() ?? "" : "")),
            ];
        }
        catch (JsonException)
        {
            // The file is being replaced at this moment; the next look reads it whole.
            return [new ServiceStatus("sidecar", 0, "starting", "")];
        }
    }

    /// <summary>Generous, since a broker on a busy machine takes half a minute; one that has ended is not waited for.</summary>
    private async Task WaitForPortAsync(string name, int port, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < TimeSpan.FromSeconds(90))
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                return;
            }
            catch (SocketException)
            {
                if (processes.Last(process => process.Name == name) is { IsRunning: false } ended)
                {
                    throw new CliException($"{name} ended while starting:\n{ManagedProcess.Tail(ended.LogPath)}", ended.LogPath);
                }

                await Task.Delay(50, cancellationToken);
            }
        }

        throw new CliException($"{name} did not listen on 127.0.0.1:{port} within 90 s.", Paths.Log(name));
    }

    private Dictionary<string, string> AppEnvironment(string app)
    {
        var environment = new Dictionary<string, string> { ["ConnectionStrings__Postgres"] = Postgres.ConnectionStringFor(app) };
        if (app == "identity")
        {
            environment["Identity__KeyDirectory"] = Path.Combine(Paths.Keys, "identity");
            environment["Identity__HubUrl"] = HubUrl.ToString().TrimEnd('/');
            environment["Identity__PublicUrls__0"] = GatewayUrl.ToString().TrimEnd('/');
            environment["Identity__PublicUrls__1"] = $"http://localhost:{Ports["gateway"]}";
        }

        if (app == "gateway")
        {
            environment["Gateway__PublicUrl"] = GatewayUrl.ToString().TrimEnd('/');
            environment["Gateway__Dashboard__Directory"] = Path.Combine(Paths.RepositoryRoot, "gateway", "dashboard", "dist");
            environment["Gateway__Blobs__Directory"] = Paths.Blobs;
            environment["Gateway__Hub__Port"] = $"{Ports["hub"]}";
            environment["Gateway__Hub__KeyDirectory"] = Path.Combine(Paths.Keys, "hub");
        }

        if (app == "scheduler" && options.Overflow is { } overflow)
        {
            environment["Scheduler__Overflow__Enabled"] = "true";
            environment["Scheduler__Overflow__Command__0"] = "dotnet";
            environment["Scheduler__Overflow__Command__1"] = AgentProgram;
            environment["Scheduler__Overflow__Folder"] = Paths.Overflow;
            environment["Scheduler__Overflow__GatewayUrl"] = GatewayUrl.ToString().TrimEnd('/');
            environment["Scheduler__Overflow__HubUrl"] = HubUrl.ToString().TrimEnd('/');
            environment["Scheduler__Overflow__MostAgents"] = $"{overflow.MostAgents}";
            environment["Scheduler__Overflow__Slots"] = $"{overflow.Slots}";
            environment["Scheduler__Overflow__Runner"] = overflow.Runner;
        }

        return environment;
    }

    private void Run(string name, IReadOnlyList<string> command, IReadOnlyDictionary<string, string>? environment = null, string? directory = null)
    {
        if (processes.Any(process => process.Name == name && process.IsRunning))
        {
            return;
        }

        processes.RemoveAll(process => process.Name == name);
        ManagedProcess.Start(
            name, command, Paths.Log(name), directory ?? Paths.RepositoryRoot,
            process =>
            {
                processes.Add(process);
                SaveState();
            },
            environment);
    }

    private void SaveState() =>
        new PlatformState(Paths.Instance, TimeProvider.System.GetUtcNow(), SidecarKind, Ports.All, [.. processes], options.PostgresConnectionString is null ? null : "given", Broker.Name)
            .Write(Paths);
}

/// <summary>One service as the sidecar host sees it.</summary>
internal sealed record ServiceStatus(string AppId, int Pid, string Health, string LogPath);
