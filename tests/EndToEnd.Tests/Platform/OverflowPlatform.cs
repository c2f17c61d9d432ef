using System.Diagnostics;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>A platform with two simulated nodes, up to two overflow agents, and a module whose units fail where a test says so.</summary>
public sealed class OverflowPlatform() : PlatformFixture("e2e-overflow")
{
    protected override IReadOnlyList<string> Arguments => ["--nodes", "2", "--slots", "2", "--runner", "simulate", "--overflow", "2"];

    protected override Dictionary<string, string> Surroundings => new(base.Surroundings) { ["Scheduler__Overflow__IdleSeconds"] = "4" };

    /// <summary>Pids of the overflow agents that <c>status</c> shows.</summary>
    public async Task<IReadOnlyList<int>> AgentsAsync() =>
    [
        .. (await CliAsync(null, "status", "--json")).Json.GetProperty("services").EnumerateArray()
            .Where(part => part.GetProperty("name").GetString()!.StartsWith("overflow-", StringComparison.Ordinal)).Select(part => part.GetProperty("pid").GetInt32()),
    ];

    public override async ValueTask DisposeAsync()
    {
        var agents = await AgentsAsync();
        await base.DisposeAsync();
        Assert.Empty(Process.GetProcesses().Select(process => process.Id).Intersect(agents));
    }
}
