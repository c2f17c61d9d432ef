using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using RenderTrust.Client;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.Chaos.Tests.Platform;

/// <summary>
/// A whole platform under its own instance name, started and restarted by the real command line, with nodes that pretend to render. Its waits are
/// short: what a production platform does after a minute of silence happens here after seconds, by the same code.
/// </summary>
internal sealed class ChaosPlatform : IAsyncDisposable
{
    /// <summary>Longer than a killed agent takes to come back, or nothing would ever be found missing.</summary>
    public static readonly TimeSpan NodeLostAfter = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan UpLimit = TimeSpan.FromMinutes(4);
    private readonly string instance = $"chaos-{Environment.ProcessId}-{Guid.CreateVersion7():N}"[..24];
    private readonly string folder = Directory.CreateTempSubdirectory("chaos-").FullName;
    private readonly int nodes;
    private readonly List<RenderTrustClient> clients = [];

    private ChaosPlatform(int nodes)
    {
        this.nodes = nodes;
        Failpoints = new FailpointFolder(Path.Combine(folder, "failpoints"));
    }

    public FailpointFolder Failpoints { get; }

    /// <summary>Where the platform keeps its data; known after the first start.</summary>
    public string Data { get; private set; } = "";

    public Uri Gateway { get; private set; } = new("http://127.0.0.1/");

    public string BrokerPassword => File.ReadAllText(Path.Combine(Data, "keys", "redis"));

    private string[] Up => ["up", "--detach", "--ports", "auto", "--nodes", $"{nodes}", "--slots", "2", "--runner", "simulate", "--overflow", "2", "--json"];

    private Dictionary<string, string> Surroundings => new()
    {
        ["RENDERTRUST_ROOT"] = Repository.Root,
        ["RENDERTRUST_INSTANCE"] = instance,
        ["RENDERTRUST_FAILPOINTS"] = Failpoints.Path,
        ["Scheduler__MissingAttemptGraceSeconds"] = "1",
        ["Scheduler__NodeLostAfterSeconds"] = $"{NodeLostAfter.TotalSeconds:0}",
        ["Scheduler__UnacknowledgedSeconds"] = "3",
        ["Scheduler__RevocationRetrySeconds"] = "1",
        ["Scheduler__PollSeconds"] = "0.5",
        ["Scheduler__Saga__StartDelaySeconds"] = "1",
        ["Scheduler__Saga__RedeliverSeconds"] = "5",
        ["Scheduler__Overflow__IdleSeconds"] = "4",
        ["Ledger__Holds__SweepSeconds"] = "1",
        ["Gateway__Hub__HeartbeatSeconds"] = "1",
        ["Gateway__Hub__SilenceSeconds"] = "5",
        ["Gateway__Hub__AcknowledgeSeconds"] = "2",
        ["Agent__ReconnectMaxSeconds"] = "2",
        ["Agent__ResultResendSeconds"] = "3",
    };

    public static async Task<ChaosPlatform> StartAsync(int nodes, CancellationToken cancellationToken)
    {
        var platform = new ChaosPlatform(nodes);
        try
        {
            (await platform.UpAsync(cancellationToken)).Succeeded();
            return platform;
        }
        catch
        {
            await platform.DisposeAsync();
            throw;
        }
    }

    /// <summary>The command a person would repeat: starts whatever has died. Under fire it may fail, and is repeated then.</summary>
    public async Task<ProgramResult> UpAsync(CancellationToken cancellationToken)
    {
        var up = await CliAsync(cancellationToken, Up);
        if (up.ExitCode == 0)
        {
            Data = up.Json.GetProperty("paths").GetProperty("data").GetString()!;
            Gateway = new Uri(up.Json.GetProperty("urls").GetProperty("gateway").GetString()!);
        }

        return up;
    }

    /// <summary>The same command, for a test that does not let it finish.</summary>
    public ProcessStartInfo UpProcess()
    {
        var start = new ProcessStartInfo("dotnet", [Repository.Cli, .. Up]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in Surroundings)
        {
            start.Environment[name] = value;
        }

        return start;
    }

    /// <summary>How many processes of a kind work for this platform, whether anybody knows of them or not.</summary>
    public int CountOf(string kind)
    {
        var (sign, place) = kind switch
        {
            "redis" => ("redis-server", Path.Combine(Data, "redis")),
            "sidecar" => ("RenderTrust.Sidecar.dll run", Path.Combine(Data, "configuration")),
            _ => ("RenderTrust.Agent.dll run", Path.Combine(Data, "nodes")),
        };
        return Directory.EnumerateDirectories("/proc").Count(process => int.TryParse(Path.GetFileName(process), out _) && Part.Describe(process) is { } command
            && command.Contains(sign, StringComparison.Ordinal) && command.Contains(place, StringComparison.Ordinal));
    }

    public Task<ProgramResult> CliAsync(CancellationToken cancellationToken, params string[] arguments) =>
        Programs.DotnetAsync([Repository.Cli, .. arguments], Surroundings, UpLimit, cancellationToken);

    /// <summary>What the last <c>up</c> started by itself, and Postgres; services are the sidecar host's.</summary>
    public IReadOnlyList<Part> Started()
    {
        using var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(Data, "state.json")));
        var parts = state.RootElement.GetProperty("processes").EnumerateArray()
            .Select(process => new Part(process.GetProperty("name").GetString()!, process.GetProperty("pid").GetInt32(), process.GetProperty("startTicks").GetInt64()))
            .ToList();
        parts.Add(Postgres() ?? new Part("postgres", 0, 0));
        return parts;
    }

    /// <summary>A running part by name; null while it is dead or on its way.</summary>
    public Part? Find(string name) => name switch
    {
        "postgres" => Postgres(),
        "scheduler" or "ledger" or "gateway" or "identity" or "catalog" => Service(name),
        _ => Started().FirstOrDefault(part => part.Name == name && part.IsRunning),
    };

    public int PortOf(string name)
    {
        using var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(Data, "state.json")));
        return state.RootElement.GetProperty("ports").GetProperty(name).GetInt32();
    }

    /// <summary>Past all services, as superuser.</summary>
    public NpgsqlDataSource OpenDatabase() => NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = PortOf("postgres"),
        Username = "postgres",
        Password = File.ReadAllText(Path.Combine(Data, "keys", "postgres-postgres")).Trim(),
        Database = "rendertrust",
        CommandTimeout = 60,
    });

    /// <summary>Signs up a creator of its own tenant, with credits.</summary>
    public async Task<RenderTrustClient> NewCreatorAsync(string name, long credits, CancellationToken cancellationToken)
    {
        var profile = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
        (await RenderTrustClient.SignUpAsync(new SignUp(Gateway, name, "test"), profile, cancellationToken)).Dispose();
        var creator = Open(profile);
        await creator.Credits.TopUpAsync(Guid.CreateVersion7(), credits * Pricing.MicrocreditsPerCredit, cancellationToken);
        return creator;
    }

    /// <summary>Whoever publishes modules on a local platform.</summary>
    public RenderTrustClient OpenDeveloper() => Open(Path.Combine(Data, "profiles", "developer"));

    public async ValueTask DisposeAsync()
    {
        foreach (var client in clients)
        {
            client.Dispose();
        }

        // RENDERTRUST_KEEP leaves data and logs in place, to look around after a failure.
        var keep = Environment.GetEnvironmentVariable("RENDERTRUST_KEEP") is { Length: > 0 };
        await CliAsync(CancellationToken.None, keep ? ["down"] : ["down", "--delete-data"]);
        if (!keep)
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private RenderTrustClient Open(string profile)
    {
        var client = new RenderTrustClient(CreatorProfile.Load(profile));
        clients.Add(client);
        return client;
    }

    private Part? Postgres()
    {
        var file = Path.Combine(Data, "postgres", "postmaster.pid");
        try
        {
            var pid = int.Parse(File.ReadLines(file).First(), CultureInfo.InvariantCulture);
            // The server works in its data folder; a stranger who has its old number does not.
            return new FileInfo($"/proc/{pid}/cwd").LinkTarget == Path.Combine(Data, "postgres") ? Part.Of("postgres", pid) : null;
        }
        catch (Exception exception) when (exception is IOException or InvalidOperationException)
        {
            return null;
        }
    }

    private Part? Service(string name)
    {
        if (Started().FirstOrDefault(part => part.Name == "sidecar") is not { IsRunning: true } host)
        {
            return null;
        }

        try
        {
            using var status = JsonDocument.Parse(File.ReadAllText(Path.Combine(Data, "sidecar.json")));
            var app = status.RootElement.GetProperty("apps").EnumerateArray().First(app => app.GetProperty("id").GetString() == name);
            return app.TryGetProperty("pid", out var pid) && pid.ValueKind == JsonValueKind.Number ? Part.OfParent(name, pid.GetInt32(), host.Pid) : null;
        }
        catch (Exception exception) when (exception is JsonException or IOException)
        {
            // The host has just begun and has not written it yet.
            return null;
        }
    }
}
