using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform.Brokers;
using RenderTrust.Cli.Platform.Daprd;

namespace RenderTrust.Cli.Platform;

/// <summary>Every port of a single box by name. All can be moved: one by <c>--port name=number</c>, all by <c>--ports auto</c>.</summary>
internal sealed class PortPlan
{
    private static readonly (string Name, int Default)[] Known =
    [
        ("gateway", 8080), ("hub", 8444),
        ("gateway.app", 5100), ("scheduler.app", 5101), ("ledger.app", 5102), ("identity.app", 5104), ("catalog.app", 5105),
        ("gateway.http", 3501), ("scheduler.http", 3502), ("ledger.http", 3503), ("identity.http", 3505), ("catalog.http", 3506),
        ("gateway.grpc", 50101), ("scheduler.grpc", 50102), ("ledger.grpc", 50103), ("identity.grpc", 50105), ("catalog.grpc", 50106),
        ("postgres", 55432), ("registry", 55000),
    ];

    private static readonly Dictionary<string, (string Name, int Default)[]> KnownOfBroker = new()
    {
        [LocalRedis.Components] = [("redis", 56379)],
        [LocalRabbitMq.Components] = [("rabbitmq", 55672), (LocalRabbitMq.PortMapper, 55673), (LocalRabbitMq.NodePort, 55674)],
    };

    private static readonly TimeSpan LetGoLimit = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, int> ports;

    private PortPlan(Dictionary<string, int> ports) => this.ports = ports;

    public int this[string name] => ports[name];

    public IReadOnlyDictionary<string, int> All => ports;

    /// <summary>
    /// The ports of an earlier start. Those of parts that have died since must be free again; one that a stranger took meanwhile is replaced
    /// where ports are chosen automatically.
    /// </summary>
    /// <param name="saved">By name.</param>
    /// <param name="mode">fixed or auto.</param>
    /// <param name="broker">Name of the broker, which may be another one than then.</param>
    /// <param name="sidecar">embedded or daprd, whose control plane has ports of its own.</param>
    /// <param name="isRunning">Whether a part runs: postgres, registry, the broker's, or sidecar, which holds all others.</param>
    /// <param name="cancellationToken">Stops waiting for a port.</param>
    public static async Task<PortPlan> AgainAsync(
        IReadOnlyDictionary<string, int> saved, string mode, string broker, string sidecar, Func<string, bool> isRunning, CancellationToken cancellationToken)
    {
        var taken = saved.Values.ToHashSet();
        var chosen = KnownWith(broker, sidecar).ToDictionary(
            known => known.Name, known => saved.TryGetValue(known.Name, out var port) ? port : mode == "auto" ? FreePort(taken) : known.Default);
        foreach (var (name, port) in chosen.Where(pair => !isRunning(PartOf(pair.Key, sidecar))).ToList())
        {
            if (!await ComesFreeAsync(port, cancellationToken))
            {
                chosen[name] = mode == "auto" ? FreePort(taken) : throw Taken(name, port);
            }
        }

        return new PortPlan(chosen);
    }

    /// <summary>Adds the ports of another broker to those of a running platform: the usual ones where they are free.</summary>
    public void Include(string broker)
    {
        var taken = ports.Values.ToHashSet();
        foreach (var (name, standard) in KnownOfBroker[broker].Where(known => !ports.ContainsKey(known.Name)))
        {
            ports[name] = IsFree(standard) && taken.Add(standard) ? standard : FreePort(taken);
        }
    }

    /// <summary>Decides the ports and checks that each is free, before anything is started.</summary>
    public static PortPlan Create(string mode, IReadOnlyList<string> overrides, string broker, string sidecar)
    {
        if (mode is not ("fixed" or "auto"))
        {
            throw new CliException($"--ports is '{mode}'. Use 'fixed' (the defaults) or 'auto' (free ones).", exitCode: 2);
        }

        var chosen = new Dictionary<string, int>();
        var taken = new HashSet<int>();
        foreach (var (name, standard) in KnownWith(broker, sidecar))
        {
            chosen[name] = mode == "auto" ? FreePort(taken) : standard;
        }

        foreach (var text in overrides)
        {
            var parts = text.Split('=', 2);
            if (parts.Length != 2 || !chosen.ContainsKey(parts[0]) || !int.TryParse(parts[1], out var port) || port is < 1 or > 65535)
            {
                throw new CliException($"--port '{text}' is not NAME=NUMBER with a number from 1 to 65535. Names: {string.Join(", ", chosen.Keys)}.", exitCode: 2);
            }

            chosen[parts[0]] = port;
        }

        if (chosen.GroupBy(pair => pair.Value).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new CliException($"Port {twice.Key} is planned for {string.Join(" and ", twice.Select(pair => pair.Key))}. Give one of them another with --port NAME=NUMBER.", exitCode: 2);
        }

        foreach (var (name, port) in chosen)
        {
            if (!IsFree(port))
            {
                throw Taken(name, port);
            }
        }

        return new PortPlan(chosen);
    }

    private static IEnumerable<(string Name, int Default)> KnownWith(string broker, string sidecar) =>
        Known.Concat(KnownOfBroker[broker]).Concat(sidecar == DaprdPlan.Kind ? DaprdPlan.Ports : []);

    private static string PartOf(string port, string sidecar) =>
        port == LocalRabbitMq.NodePort ? LocalRabbitMq.Components
        : port is "postgres" or "registry" || KnownOfBroker.Values.Any(ports => ports.Any(known => known.Name == port)) ? port
        : sidecar == DaprdPlan.Kind ? DaprdPlan.PartOf(port)
        : "sidecar";

    private static CliException Taken(string name, int port) =>
        new($"Port {port} for '{name}' is taken by another program. Use --port {name}=NUMBER for another one, or --ports auto for free ones everywhere; 'ss -ltnp sport = :{port}' shows who has it.");

    /// <summary>A killed part may take a moment to let go.</summary>
    private static async Task<bool> ComesFreeAsync(int port, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (!IsFree(port))
        {
            if (watch.Elapsed > LetGoLimit)
            {
                return false;
            }

            await Task.Delay(50, cancellationToken);
        }

        return true;
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort(HashSet<int> taken)
    {
        // Below the kernel's ephemeral range (32768 up), so that no outgoing connection takes the port before its service does.
        for (var attempt = 0; attempt < 2_000; attempt++)
        {
            var port = Random.Shared.Next(12_000, 32_000);
            if (taken.Add(port) && IsFree(port))
            {
                return port;
            }
        }

        throw new CliException("No free port between 12000 and 32000 was found on 127.0.0.1.");
    }
}
