using System.Diagnostics;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using RenderTrust.Workflow.Tests.EndToEnd;

namespace RenderTrust.Workflow.Tests.Kills;

/// <summary>Two sidecar hosts serve the same app on one Postgres, each with a worker of its own.</summary>
[Collection(nameof(Alone))]
public sealed class TwoHostsTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    // Longer than the lease of a host, which is 15 s.
    private static readonly TimeSpan Frozen = TimeSpan.FromSeconds(20);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_killed_or_frozen_host_was_about_goes_on_at_the_other_and_happens_once()
    {
        var kills = KillRig.IsLong ? 40 : 4;
        await using var rig = await KillRig.StartAsync(database, hosts: 2, workersEach: 1);
        await rig.WorkflowsEndAsync();
        var (watch, takenOver) = (Stopwatch.StartNew(), 0);

        for (var kill = 0; kill < kills; kill++)
        {
            var (victim, other) = (rig.Sidecars[kill % 2], rig.Sidecars[1 - (kill % 2)]);
            await rig.WorkflowsEndAsync(victim, other);
            await victim.KillAsync();
            takenOver += await OthersGoOnAsync(rig, other);
            victim.Launch();
            await victim.ReadyAsync(KillRig.BackLimit);
        }

        await rig.WorkflowsEndAsync();
        rig.Sidecars[0].Signal("STOP");
        var frozen = Stopwatch.StartNew();
        takenOver += await OthersGoOnAsync(rig, rig.Sidecars[1]);
        await Wait.UntilAsync("the frozen host's lease is over", () => frozen.Elapsed > Frozen);
        rig.Sidecars[0].Signal("CONT");
        await rig.WorkflowsEndAsync(rig.Sidecars[0]);
        var verdict = await rig.EndAsync();

        Console.WriteLine(
            $"Measured two hosts of the workflow engine: {kills} kills of one or the other and one frozen for {Frozen.TotalSeconds:F0} s, in {watch.Elapsed.TotalSeconds:F0} s, RENDERTRUST_SEED={KillRig.Seed}; "
            + $"{takenOver} workflows under way at that moment ended at the other; {verdict.Describe(rig.Starters)}");
        Assert.True(takenOver > 0, "No workflow was under way at any of the kills.");
        Assert.True(verdict.Wrong.Count == 0, string.Join('\n', verdict.Wrong.Take(30)));
        Assert.True(rig.Starters.Complaints.IsEmpty, string.Join('\n', rig.Starters.Complaints.Take(30)));
    }

    /// <summary>What was under way when a host went ends while it is away.</summary>
    private static async Task<int> OthersGoOnAsync(KillRig rig, SidecarProcess other)
    {
        var hub = rig.HubOf(other);
        // A start that is not answered yet may be known to nobody.
        var open = rig.Starters.Open.Where(entry => entry.Value != "starts it").Select(entry => entry.Key).ToList();
        foreach (var id in open)
        {
            await Wait.UntilAsync($"{id} ends at the other host", async () =>
            {
                other.AssertRunning();
                var state = (await hub.GetInstanceAsync(new GetInstanceRequest { InstanceId = id }, cancellationToken: Token)).WorkflowState;
                return state.WorkflowStatus == OrchestrationStatus.Completed;
            }, () => other.Output, KillRig.BackLimit);
        }

        return open.Count;
    }
}
