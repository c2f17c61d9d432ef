using System.Diagnostics;
using System.Globalization;
using RenderTrust.Contracts;
using RenderTrust.TestKit;

namespace RenderTrust.Scheduler.Tests.Overflow;

/// <summary>A database and a folder for agents, and as many lives of the scheduler on them as a test wants. Agents are real processes.</summary>
public abstract class LauncherTest : IAsyncLifetime
{
    private readonly List<SchedulerWorld> worlds = [];

    private protected TestDatabase Database { get; } = new();

    private protected string Folder { get; } = Directory.CreateTempSubdirectory("rendertrust-overflow-").FullName;

    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    private protected static string AgentProgram => Path.Combine(Environment.GetEnvironmentVariable("RENDERTRUST_ROOT") ?? AppContext.BaseDirectory, "tests/Scheduler.Tests/Overflow/agent.sh");

    public async ValueTask InitializeAsync() => await Database.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var world in worlds)
        {
            await world.DisposeAsync();
        }

        foreach (var pid in Running())
        {
            using var agent = Process.GetProcessById(pid);
            agent.Kill();
            await agent.WaitForExitAsync(CancellationToken.None);
        }

        Directory.Delete(Folder, recursive: true);
        await Database.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>What the scheduler is configured with, by the names of its environment.</summary>
    private protected Dictionary<string, string?> Settings(int most = 2, int slots = 1, double pause = 0.1, string? command = null, bool enabled = true, string? folder = null) => new()
    {
        ["Scheduler:Overflow:Enabled"] = enabled ? "true" : "false",
        ["Scheduler:Overflow:Command:0"] = command ?? AgentProgram,
        ["Scheduler:Overflow:Folder"] = folder ?? Folder,
        ["Scheduler:Overflow:MostAgents"] = $"{most}",
        ["Scheduler:Overflow:Slots"] = $"{slots}",
        ["Scheduler:Overflow:StartPauseSeconds"] = pause.ToString(CultureInfo.InvariantCulture),
        ["Logging:LogLevel:RenderTrust.Scheduler.Overflow"] = "Warning",
    };

    private protected async Task<SchedulerWorld> StartAsync(Dictionary<string, string?> settings)
    {
        var world = await SchedulerWorld.StartAsync(Database, settings);
        worlds.Add(world);
        return world;
    }

    private protected async Task StopAsync(SchedulerWorld world)
    {
        worlds.Remove(world);
        await world.DisposeAsync();
    }

    /// <summary>A job that is sealed to the pool, with all its units in the lane.</summary>
    private protected static async Task<JobId> OverflowedAsync(SchedulerWorld world, int units = 1)
    {
        var creator = await world.CreatorAsync();
        var spec = SchedulerWorld.Spec([new TestNode(NodeId.New(), creator, "pool", "pool-key-1", "", 0, [])], units);
        await world.AcceptedAsync(creator, spec);
        await world.ScalarAsync<long>(
            """
            WITH moved AS (UPDATE scheduler.units SET lane = 'overflow' WHERE job_id = public.key_of($1)),
                waiting AS (UPDATE scheduler.pending_units SET lane = 'overflow', state = 'new' WHERE job_id = public.key_of($1) RETURNING 1)
            SELECT count(*) FROM waiting
            """,
            spec.JobId.Value);
        return spec.JobId;
    }

    private protected static Task<string> ReasonAsync(SchedulerWorld world, JobId jobId) =>
        world.ScalarAsync<string>("SELECT coalesce((SELECT min(parked_reason) FROM scheduler.pending_units WHERE job_id = public.key_of($1)), '')", jobId.Value);

    /// <summary>Ids of every agent process that was ever started on the folder.</summary>
    private protected int[] Started() => StartedOn(Folder);

    private protected int[] Running() => AgentsOf(Folder);

    private protected static int[] AgentsOf(string folder) => [.. StartedOn(folder).Where(IsAgent)];

    private protected Task<int[]> RunningAsync(int count) =>
        SchedulerWorld.UntilAsync($"{count} agents to run", () => Task.FromResult(Running().Where(Ready).ToArray()), running => running.Length == count);

    /// <summary>Tells the agents to end as when idle, and waits until they have.</summary>
    private protected async Task EndAgentsAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "end"), "", Token);
        await SchedulerWorld.UntilAsync("the agents to end", () => Task.FromResult(Running()), running => running.Length == 0);
        File.Delete(Path.Combine(Folder, "end"));
    }

    private bool Ready(int pid) => Directory.GetFiles(Folder, "agent.pid", SearchOption.AllDirectories).Any(file => File.ReadAllText(file).StartsWith($"{pid} ", StringComparison.Ordinal));

    private static int[] StartedOn(string folder) =>
        File.Exists(Path.Combine(folder, "started")) ? [.. File.ReadAllLines(Path.Combine(folder, "started")).Select(line => int.Parse(line, CultureInfo.InvariantCulture))] : [];

    private static bool IsAgent(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Contains("agent.sh", StringComparison.Ordinal) && !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
