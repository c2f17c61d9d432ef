using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Overflow;

namespace RenderTrust.Scheduler.Tests.Overflow;

/// <summary>The launcher and its processes: how many, how often, what they are told, and what a crash leaves.</summary>
public sealed class LocalAgentTests : LauncherTest
{
    [Fact]
    public async Task Agents_are_started_when_units_wait_and_never_more_than_allowed()
    {
        var world = await StartAsync(Settings(most: 2, slots: 1));
        await PublishedAsync(world);
        Assert.Empty(Started());

        await OverflowedAsync(world, units: 5);
        await RunningAsync(2);

        await RoundsAsync(world);
        Assert.Equal(2, Started().Length);
        Assert.Equal(["rtn_token", "rtn_token"], await File.ReadAllLinesAsync(Path.Combine(Folder, "tokens"), Token));
        Assert.Empty(Directory.GetFiles(Folder, "*.token"));
    }

    [Fact]
    public async Task One_agent_is_enough_for_as_many_units_as_it_has_slots()
    {
        var world = await StartAsync(Settings(most: 4, slots: 3));

        await OverflowedAsync(world, units: 3);
        await RunningAsync(1);

        await RoundsAsync(world);
        Assert.Single(Started());
    }

    [Fact]
    public async Task An_agent_that_ended_when_idle_is_started_again_only_for_new_units_and_keeps_its_identity()
    {
        var world = await StartAsync(Settings());
        var job = await OverflowedAsync(world);
        await RunningAsync(1);
        await world.ScalarAsync<int>("DELETE FROM scheduler.pending_units WHERE job_id = public.key_of($1) RETURNING unit_index", job.Value);

        await EndAgentsAsync();
        await RoundsAsync(world);
        Assert.Single(Started());
        await OverflowedAsync(world);
        await RunningAsync(1);

        Assert.Equal(2, Started().Length);
        Assert.Single(await File.ReadAllLinesAsync(Path.Combine(Folder, "tokens"), Token));
    }

    [Fact]
    public async Task Jobs_that_agents_could_not_run_start_none()
    {
        var world = await StartAsync(Settings());
        await PublishedAsync(world);
        world.Neighbours.Modules["gpu@1.0.0"] = world.ModuleOf("gpu@1.0.0", kind: DeviceKind.Gpu, rate: 1_000_000);

        var creator = await world.CreatorAsync();
        var spec = SchedulerWorld.Spec([new TestNode(NodeId.New(), creator, "pool", "pool-key-1", "", 0, [])], units: 1, module: "gpu@1.0.0");
        await world.AcceptedAsync(creator, spec);
        await world.ScalarAsync<int>("UPDATE scheduler.pending_units SET lane = 'overflow' WHERE job_id = public.key_of($1) RETURNING unit_index", spec.JobId.Value);

        await RoundsAsync(world);
        Assert.Empty(Started());
    }

    [Fact]
    public async Task Agents_know_nothing_of_the_schedulers_surroundings_but_what_they_need()
    {
        Environment.SetEnvironmentVariable("RENDERTRUST_TEST_SECRET", "hunter2");
        Environment.SetEnvironmentVariable("Agent__Registries__0", "registry.example");
        var world = await StartAsync(Settings());

        await OverflowedAsync(world);
        await RunningAsync(1);

        var known = await File.ReadAllTextAsync(Path.Combine(Folder, "overflow-1", "environment"), Token);
        Assert.DoesNotContain("hunter2", known, StringComparison.Ordinal);
        Assert.DoesNotContain("Postgres", known, StringComparison.Ordinal);
        Assert.Contains("Agent__Registries__0=registry.example", known, StringComparison.Ordinal);
        Assert.Equal("700", Convert.ToString((int)File.GetUnixFileMode(Folder), 8));
    }

    [Fact]
    public async Task Agents_that_cannot_start_leave_their_units_waiting_with_the_cause_and_are_not_tried_without_a_pause()
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "fail"), "no runner works on this machine", Token);
        var world = await StartAsync(Settings(most: 1, pause: 3600));

        var job = await OverflowedAsync(world);
        var reason = await SchedulerWorld.UntilAsync("the cause", () => ReasonAsync(world, job), text => text.Contains("no runner works", StringComparison.Ordinal));

        Assert.Contains("no overflow agent can be started now", reason, StringComparison.Ordinal);
        Assert.Contains("exit code 1", reason, StringComparison.Ordinal);
        await RoundsAsync(world);
        Assert.Single(Started());
    }

    [Fact]
    public async Task Once_the_cause_is_gone_agents_start_and_what_was_half_enrolled_begins_anew()
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "fail"), "the disk is full", Token);
        var half = Directory.CreateDirectory(Path.Combine(Folder, "overflow-1", "identity"));
        await File.WriteAllTextAsync(Path.Combine(half.FullName, "tls.key"), "known to identity already", Token);
        var world = await StartAsync(Settings(most: 1));
        var job = await OverflowedAsync(world);
        await SchedulerWorld.UntilAsync("the cause", () => ReasonAsync(world, job), text => text.Contains("the disk is full", StringComparison.Ordinal));

        File.Delete(Path.Combine(Folder, "fail"));
        await RunningAsync(1);

        Assert.False(File.Exists(Path.Combine(half.FullName, "tls.key")));
    }

    [Fact]
    public async Task Without_identity_no_agent_starts_and_the_units_say_so()
    {
        var world = await StartAsync(Settings(most: 1));
        await PublishedAsync(world);
        world.Neighbours.OnOverflowToken = () => null;

        var job = await OverflowedAsync(world);
        await SchedulerWorld.UntilAsync("the cause", () => ReasonAsync(world, job), text => text.Contains("/internal/overflow-pools/tokens", StringComparison.Ordinal));
        Assert.Empty(Started());

        world.Neighbours.OnOverflowToken = () => "rtn_other";
        await RunningAsync(1);
    }

    [Fact]
    public async Task A_pool_without_a_key_is_not_published_and_is_tried_again()
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "no-key"), "", Token);
        var world = await StartAsync(Settings());
        var job = await OverflowedAsync(world);
        await SchedulerWorld.UntilAsync("the cause", () => ReasonAsync(world, job), text => text.Contains("the disk is full", StringComparison.Ordinal));
        Assert.Empty(world.Neighbours.Pools);

        File.Delete(Path.Combine(Folder, "no-key"));

        await RunningAsync(1);
        Assert.Equal(["pool-key-1"], world.Neighbours.Pools);
    }

    [Fact]
    public async Task A_program_that_is_not_there_is_named()
    {
        var world = await StartAsync(Settings(command: "/nonexistent/agent"));

        var job = await OverflowedAsync(world);

        var reason = await SchedulerWorld.UntilAsync("the cause", () => ReasonAsync(world, job), text => text.Contains("/nonexistent/agent", StringComparison.Ordinal));
        Assert.Contains("Scheduler:Overflow:Command", reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Switching_overflow_off_withdraws_the_key_everywhere()
    {
        var before = await StartAsync(Settings());
        await PublishedAsync(before);
        await StopAsync(before);

        var after = await StartAsync(Settings(enabled: false));

        await SchedulerWorld.UntilAsync("identity to be told", () => Task.FromResult(string.Join(' ', after.Neighbours.Pools)), told => told == "-pool-key-1");
        await SchedulerWorld.UntilAsync("the key to be gone", () => after.ScalarAsync<long>("SELECT count(*) FROM scheduler.overflow_keys"), count => count == 0);
    }

    [Fact]
    public async Task Of_two_schedulers_one_starts_agents_and_the_other_goes_on_when_it_ends()
    {
        var other = Directory.CreateTempSubdirectory("rendertrust-overflow-other-").FullName;
        var first = await StartAsync(Settings(most: 1));
        await PublishedAsync(first);
        var second = await StartAsync(Settings(most: 1, folder: other));

        await OverflowedAsync(second);
        await RunningAsync(1);
        await RoundsAsync(first);
        Assert.False(File.Exists(Path.Combine(other, "started")));
        await StopAsync(first);
        await SchedulerWorld.UntilAsync("the other to take its turn", () => Task.FromResult(File.Exists(Path.Combine(other, "started"))), started => started);

        // The scheduler first, or it would start another; and the agent must have seen the file before the folder goes, or it would never end.
        await StopAsync(second);
        await File.WriteAllTextAsync(Path.Combine(other, "end"), "", Token);
        await SchedulerWorld.UntilAsync("the other agents to end", () => Task.FromResult(AgentsOf(other)), running => running.Length == 0);
        Directory.Delete(other, recursive: true);
    }

    [Fact]
    public async Task A_killed_scheduler_leaves_its_agents_running_and_the_next_one_takes_them_over()
    {
        var world = await StartAsync(Settings(enabled: false));
        using var first = await SchedulerProcessAsync(world);
        await OverflowedAsync(world, units: 2);
        var agents = await RunningAsync(2);

        first.Kill();
        await first.WaitForExitAsync(Token);
        Assert.Equal(agents, Running());
        using var second = await SchedulerProcessAsync(world);

        // The second life looks after them as after its own: one that dies while its unit still waits is started again, and only that one.
        using (var agent = Process.GetProcessById(agents[0]))
        {
            agent.Kill();
        }

        await SchedulerWorld.UntilAsync("an agent in place of the dead one", () => Task.FromResult(Running().Except(agents).Count()), count => count == 1);
        Assert.Equal(agents[1], Assert.Single(Running().Intersect(agents)));
        Assert.Equal(3, Started().Length);
        second.Kill();
        await second.WaitForExitAsync(Token);
    }

    private static async Task PublishedAsync(SchedulerWorld world) =>
        await SchedulerWorld.UntilAsync("the pool to be published", () => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.overflow_keys"), count => count == 1);

    /// <summary>Lets the launcher look several times more, so that what it should not do it has had the chance to do.</summary>
    private static async Task RoundsAsync(SchedulerWorld world)
    {
        var loop = world.Services.GetServices<IHostedService>().OfType<ScaleOverflowLoop>().Single();
        var before = loop.Looks;
        await SchedulerWorld.UntilAsync("five more looks at the lane", () => Task.FromResult(loop.Looks), looks => looks >= before + 5);
    }

    private async Task<Process> SchedulerProcessAsync(SchedulerWorld world)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "RenderTrust.Scheduler.dll")]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var settings = Settings();
        settings["APP_PORT"] = "0";
        settings["APP_API_TOKEN"] = FakeNeighbours.ApiToken;
        settings["DAPR_HTTP_PORT"] = $"{new Uri(world.Neighbours.Address).Port}";
        settings["RENDERTRUST_ENVIRONMENT"] = "Production";
        settings["ConnectionStrings:Postgres"] = Database.ConnectionStringFor("scheduler");
        settings["Scheduler:PollSeconds"] = "0.2";
        foreach (var (name, value) in settings)
        {
            start.Environment[name.Replace(":", "__", StringComparison.Ordinal)] = value;
        }

        var published = world.Neighbours.Pools.Count;
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await SchedulerWorld.UntilAsync("the scheduler process to publish the pool", () => Task.FromResult(world.Neighbours.Pools.Count), count => count > published, seconds: 60);
        return process;
    }
}
