using System.Diagnostics;
using RenderTrust.A2A;
using RenderTrust.Chaos.Tests.Campaign;
using RenderTrust.Chaos.Tests.Platform;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;
using Part = RenderTrust.Chaos.Tests.Platform.Part;

namespace RenderTrust.Chaos.Tests;

/// <summary>A platform that runs, for tests which kill parts of it and start them again.</summary>
public sealed class RestartFixture : IAsyncLifetime
{
    internal const int Nodes = 2;

    internal ChaosPlatform Platform { get; private set; } = null!;

    internal RenderTrustClient Creator { get; private set; } = null!;

    internal ModuleVersion Module { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        Platform = await ChaosPlatform.StartAsync(Nodes, cancellationToken);
        Module = await FakeModule.PublishAsync(Platform.OpenDeveloper(), cancellationToken);
        Creator = await Platform.NewCreatorAsync("restarting", credits: 1000, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (Platform is not null)
        {
            await Platform.DisposeAsync();
        }
    }
}

/// <summary><c>up</c> after <c>kill -9</c> of anything: the platform comes back at the same addresses, with nothing running twice, and works.</summary>
public sealed class RestartTests(RestartFixture fixture) : IClassFixture<RestartFixture>
{
    private static readonly string[] Services = ["gateway", "scheduler", "ledger", "identity", "catalog"];
    private static readonly string[] Kinds = ["postgres", "redis", "registry", "sidecar", "node-1", "node-2", .. Services];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("postgres")]
    [InlineData("redis")]
    [InlineData("registry")]
    [InlineData("sidecar")]
    [InlineData("node-1")]
    [InlineData("gateway")]
    [InlineData("scheduler")]
    [InlineData("ledger")]
    [InlineData("identity")]
    [InlineData("catalog")]
    public async Task A_platform_of_which_one_part_was_killed_is_whole_again_after_up(string part)
    {
        var killed = await KillAsync([part]);

        await AssertWholeAfterUpAsync(killed);
    }

    [Fact]
    public async Task A_platform_of_which_everything_was_killed_at_once_is_whole_again_after_up()
    {
        var killed = await KillAsync(Kinds);

        await AssertWholeAfterUpAsync(killed);
    }

    [Fact]
    public async Task A_platform_of_which_any_parts_were_killed_is_whole_again_after_up()
    {
        const int rounds = 4;
        var seed = CampaignPlan.Read().Seed;
        Console.WriteLine($"Measured restarts: {rounds} random combinations, RENDERTRUST_SEED={seed}");
        var random = new Random(seed);
        for (var round = 0; round < rounds; round++)
        {
            var killed = await KillAsync([.. Kinds.Where(_ => random.Next(2) == 0).DefaultIfEmpty("postgres")]);

            await AssertWholeAfterUpAsync(killed);
        }
    }

    [Fact]
    public async Task An_up_that_was_itself_killed_is_completed_by_the_next_one()
    {
        const int rounds = 6;
        var random = new Random(CampaignPlan.Read().Seed);
        var killed = await KillAsync(Kinds);
        for (var round = 0; round < rounds; round++)
        {
            await StartUpAndKillItAsync(TimeSpan.FromMilliseconds(random.Next(100, 1500 * (round + 1))));
        }

        await AssertWholeAfterUpAsync(killed);
    }

    [Fact]
    public async Task Status_says_what_was_killed()
    {
        await KillAsync(["postgres", "node-1"]);

        var status = await fixture.Platform.CliAsync(Token, "status", "--json");

        Assert.Equal(1, status.ExitCode);
        var stopped = status.Json.GetProperty("services").EnumerateArray().Where(part => part.GetProperty("health").GetString() == "stopped").Select(part => part.GetProperty("name").GetString());
        Assert.Equal(["node-1", "postgres"], stopped.Order(StringComparer.Ordinal));
        (await fixture.Platform.UpAsync(Token)).Succeeded();
    }

    /// <summary>The parts as they were; what is dead already or on its way back counts as killed.</summary>
    private async Task<List<Part>> KillAsync(string[] names)
    {
        // Before the first signal: a dead host's services are found by nobody.
        var parts = names.Select(fixture.Platform.Find).OfType<Part>().ToList();
        Assert.Equal(names.Length, parts.Count);
        await Task.WhenAll(parts.Select(part => part.KillAsync(Token)));
        return parts;
    }

    private async Task StartUpAndKillItAsync(TimeSpan after)
    {
        using var up = Process.Start(fixture.Platform.UpProcess())!;
        await Task.WhenAny(up.WaitForExitAsync(Token), Task.Delay(after, Token));
        up.Kill();
        await up.WaitForExitAsync(Token);
    }

    private async Task AssertWholeAfterUpAsync(IReadOnlyList<Part> killed)
    {
        var platform = fixture.Platform;
        var gateway = platform.Gateway;

        (await platform.UpAsync(Token)).Succeeded();

        Assert.Equal(gateway, platform.Gateway);
        await Wait.ForAsync(
            "every part to run", () => Task.FromResult(string.Join(", ", Kinds.Where(kind => platform.Find(kind) is null))), missing => missing.Length == 0, Token);
        Assert.All(killed, part => Assert.False(part.IsRunning));
        Assert.All(killed, part => Assert.NotEqual(part, platform.Find(part.Name)));
        Assert.Equal(1, platform.CountOf("redis"));
        Assert.Equal(1, platform.CountOf("sidecar"));
        Assert.Equal(RestartFixture.Nodes, platform.CountOf("node"));
        var job = await new JobFlow(fixture.Creator, fixture.Module, new JobCourse(2, 50, MeantEnd.Completed), () => { }, killing: Task.CompletedTask, killFor: TimeSpan.Zero).RunAsync(Token);
        Assert.True(job.State == TaskState.Completed, job.Reason);
        Assert.Empty(job.Complaints);
    }
}
