using System.Diagnostics;
using System.Text.Json;
using Npgsql;
using RenderTrust.Client;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;

[assembly: AssemblyFixture(typeof(PlatformFixture))]
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>
/// A whole platform, started and stopped by the real command line: Postgres, Redis, registry, sidecars, services, one node with the povray module.
/// Started when the first test asks for it, so that tests which bring a platform of their own do not pay for this one.
/// </summary>
public class PlatformFixture : IAsyncLifetime
{
    private readonly string _instance;
    private readonly string _folder = Directory.CreateTempSubdirectory("e2e-").FullName;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly FaultWatch _watch = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });
    private readonly List<IDisposable> _creators = [];
    private JsonElement? _status;
    private NpgsqlDataSource? _database;
    private bool _touched;

    public PlatformFixture()
        : this("e2e")
    {
    }

    /// <summary>A platform beside the others, for tests that need another one.</summary>
    protected PlatformFixture(string name) => _instance = $"{name}-{Environment.ProcessId}";

    public Uri Gateway => new(Facts.GetProperty("urls").GetProperty("gateway").GetString()!);

    public string Data => Facts.GetProperty("paths").GetProperty("data").GetString()!;

    /// <summary>An empty folder of this run for what tests write.</summary>
    public string NewFolder(string name) => Directory.CreateDirectory(Path.Combine(_folder, $"{name}-{Guid.NewGuid():N}")).FullName;

    internal IReadOnlyCollection<string> Faults => _watch.Faults;

    /// <summary>The connection that notes faults, for requests which no client would send.</summary>
    internal HttpMessageHandler Handler => _watch;

    private JsonElement Facts => _status ?? throw new InvalidOperationException("Call StartAsync first.");

    /// <summary>How <c>up</c> starts it.</summary>
    protected virtual IReadOnlyList<string> Arguments => ["--nodes", "1"];

    protected virtual Dictionary<string, string> Surroundings => new()
    {
        ["RENDERTRUST_ROOT"] = Repository.Root,
        ["RENDERTRUST_INSTANCE"] = _instance,

        // Thirty seconds by default; what a restarted node lost comes back the same way, only sooner.
        ["Scheduler__MissingAttemptGraceSeconds"] = "3",

        // Half a minute by default; what is published must show by the news of it.
        ["Gateway__A2A__CatalogCacheSeconds"] = "3600",
    };

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>Starts the platform unless it runs.</summary>
    public async Task StartAsync()
    {
        await _turn.WaitAsync();
        try
        {
            if (_status is null)
            {
                await UpAsync();
                var connection = new NpgsqlConnectionStringBuilder
                {
                    Host = "127.0.0.1",
                    Port = JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(Data, "state.json"))).GetProperty("ports").GetProperty("postgres").GetInt32(),
                    Username = "postgres",
                    Password = (await File.ReadAllTextAsync(Path.Combine(Data, "keys", "postgres-postgres"))).Trim(),
                    Database = "rendertrust",
                };
                _database = NpgsqlDataSource.Create(connection);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The command a person would repeat: starts whatever has died.</summary>
    public async Task UpAsync()
    {
        _touched = true;
        (await CliAsync(null, ["up", "--detach", "--ports", "auto", .. Arguments, "--json"])).Succeeded();
        _status = (await CliAsync(null, "status", "--json")).Succeeded().Json;
    }

    internal Task<ProgramResult> CliAsync(string? profile, params string[] arguments)
    {
        var environment = Surroundings;
        if (profile is not null)
        {
            environment["RENDERTRUST_PROFILE"] = profile;
        }

        return Programs.DotnetAsync([Repository.Cli, .. arguments], environment, TimeSpan.FromMinutes(4), TestContext.Current.CancellationToken);
    }

    /// <summary>Runs nothing on any node: what it does is a parameter. The same runtime as povray, which simulated nodes never fetch.</summary>
    public async Task<ModuleVersion> SimulatedModuleAsync()
    {
        var developer = Open("developer");
        var povray = await Scenes.PovrayAsync(developer, TestContext.Current.CancellationToken);
        return await developer.Modules.PublishAsync(
            new PublishModuleRequest("simulated", "1.0.0", "Simulated", "Pretends to work.", povray.RatePerMinuteMicrocredits, povray.Runtime, null, null, null),
            TestContext.Current.CancellationToken);
    }

    /// <summary>Pid of a part by its name in <c>status --json</c>; 0 while it is not running.</summary>
    public async Task<int> PidOfAsync(string part)
    {
        var status = (await CliAsync(null, "status", "--json")).Json;
        return status.GetProperty("services").EnumerateArray().First(service => service.GetProperty("name").GetString() == part).GetProperty("pid").GetInt32();
    }

    /// <summary>Ends a part as a crash would, and answers which process it was.</summary>
    public async Task<int> CrashAsync(string part)
    {
        var pid = await PidOfAsync(part);
        Assert.NotEqual(0, pid);
        using var process = Process.GetProcessById(pid);
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return pid;
    }

    /// <summary>Waits until everything is well, as <c>status</c> sees it.</summary>
    public Task WaitUntilWellAsync() => Wait.ForAsync(async () => await CliAsync(null, "status", "--json"), status => status.ExitCode == 0, "all parts to be well");

    /// <summary>Signs up a creator of its own tenant, with credits.</summary>
    public async Task<RenderTrustClient> NewCreatorAsync(string name, decimal credits = 100)
    {
        var folder = NewFolder("creator");
        var options = new RenderTrustClientOptions { Handler = _watch };
        var cancellationToken = TestContext.Current.CancellationToken;
        (await RenderTrustClient.SignUpAsync(new SignUp(Gateway, name, "test"), folder, cancellationToken, options)).Dispose();
        var creator = new RenderTrustClient(CreatorProfile.Load(folder), options);
        _creators.Add(creator);
        if (credits > 0)
        {
            await creator.Credits.TopUpAsync(Guid.NewGuid(), (long)(credits * Pricing.MicrocreditsPerCredit), cancellationToken);
        }

        return creator;
    }

    /// <summary>The studio that owns the node.</summary>
    public RenderTrustClient OpenStudio() => Open("studio");

    /// <summary>One of the platform's own people.</summary>
    public RenderTrustClient Open(string profile)
    {
        var client = new RenderTrustClient(CreatorProfile.Load(Path.Combine(Data, "profiles", profile)), new RenderTrustClientOptions { Handler = _watch });
        _creators.Add(client);
        return client;
    }

    /// <summary>One row by SQL, past all services.</summary>
    public async Task<T> SqlAsync<T>(string sql, params object[] values)
    {
        await using var command = _database!.CreateCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    public virtual async ValueTask DisposeAsync()
    {
        foreach (var creator in _creators)
        {
            creator.Dispose();
        }

        _watch.Dispose();
        _turn.Dispose();
        if (_database is not null)
        {
            await _database.DisposeAsync();
        }

        if (_touched)
        {
            // RENDERTRUST_KEEP leaves everything in place, to look around after a failure.
            var keep = Environment.GetEnvironmentVariable("RENDERTRUST_KEEP") is { Length: > 0 };
            await Programs.DotnetAsync(keep ? [Repository.Cli, "down"] : [Repository.Cli, "down", "--delete-data"], Surroundings, TimeSpan.FromMinutes(2), CancellationToken.None);
        }

        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }
}
