using System.Text;
using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;
using RenderTrust.Sealing;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>What the fleet cannot complete: on the platform's own agents if the creator opted in, else the end of the job.</summary>
public sealed class OverflowTests(OverflowPlatform platform) : IClassFixture<OverflowPlatform>, IAsyncLifetime
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await platform.StartAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_unit_that_fails_on_two_nodes_completes_on_an_agent_that_the_platform_starts_and_is_charged_once()
    {
        var creator = await platform.NewCreatorAsync("Olga");
        var draft = await DraftAsync(overflow: true, failing: 1, failAfterMilliseconds: 200);
        await NoAgentsAsync();

        var last = await JobTests.LastAsync(creator.Jobs.SubmitAndWatchAsync(draft, null, Token));
        var agents = await platform.AgentsAsync();

        Assert.True(last.State == TaskState.Completed, $"{last.State}: {last.Reason}");
        var summary = await creator.Jobs.GetSummaryAsync(draft.JobId, Token);
        Assert.Equal(3, summary.UnitsCompleted);
        var attempts = summary.Units.Single(unit => unit.UnitIndex == 1).Attempts;
        Assert.Equal(["node-1", "node-2"], attempts.SkipLast(1).Select(attempt => attempt.NodeName).Order());
        Assert.All(attempts.SkipLast(1), attempt => Assert.Equal("module_failed", attempt.FailureClass));
        Assert.StartsWith("overflow-", attempts[^1].NodeName, StringComparison.Ordinal);
        Assert.StartsWith("The unit overflowed.", attempts[^1].Decision.Explanation, StringComparison.Ordinal);
        Assert.All(summary.Units.Where(unit => unit.UnitIndex != 1), unit => Assert.StartsWith("node-", Assert.Single(unit.Attempts).NodeName, StringComparison.Ordinal));
        Assert.NotEmpty(agents);
        Assert.Equal(3, await FetchedAsync(creator, draft.JobId));
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
        Assert.Equal(
            attempts[^1].MeteredMilliseconds > 0 ? 1 : 0,
            await platform.SqlAsync<long>(
                "SELECT count(*) FROM ledger.captures c JOIN ledger.holds h USING (hold_id) WHERE h.job_id = $1 AND c.unit_index = 1 AND c.node_tenant_id = (SELECT tenant_id FROM identity.platform_tenant)",
                draft.JobId.Value));
        await NoAgentsAsync();
    }

    [Fact]
    public async Task Without_opting_in_the_job_fails_with_the_cause_and_what_was_done_is_kept()
    {
        var creator = await platform.NewCreatorAsync("Paul");
        var draft = await DraftAsync(overflow: false, failing: 1, failAfterMilliseconds: 1500);

        var last = await JobTests.LastAsync(creator.Jobs.SubmitAndWatchAsync(draft, null, Token));

        Assert.Equal(TaskState.Failed, last.State);
        Assert.Contains("module_failed", last.Reason, StringComparison.Ordinal);
        var summary = await creator.Jobs.GetSummaryAsync(draft.JobId, Token);
        Assert.Equal(2, summary.UnitsCompleted);
        Assert.DoesNotContain(summary.Units.SelectMany(unit => unit.Attempts), attempt => attempt.NodeName.StartsWith("overflow-", StringComparison.Ordinal));
        Assert.Equal(2, await FetchedAsync(creator, draft.JobId));
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
        Assert.Equal(
            0,
            await platform.SqlAsync<long>(
                "SELECT count(*) FROM scheduler.job_grants g JOIN scheduler.overflow_keys k USING (recipient_key_id) JOIN scheduler.jobs j USING (job_id) WHERE j.client_job_id = $1", draft.JobId.Value));
    }

    [Fact]
    public async Task A_unit_that_fails_in_overflow_too_fails_the_job_and_is_not_charged()
    {
        var creator = await platform.NewCreatorAsync("Rosa");
        var draft = await DraftAsync(overflow: true, failing: 1, failAfterMilliseconds: 1500, onNodes: "");

        var last = await JobTests.LastAsync(creator.Jobs.SubmitAndWatchAsync(draft, null, Token));

        Assert.Equal(TaskState.Failed, last.State);
        var summary = await creator.Jobs.GetSummaryAsync(draft.JobId, Token);
        Assert.Equal(2, summary.UnitsCompleted);
        Assert.StartsWith("overflow-", summary.Units.Single(unit => unit.UnitIndex == 1).Attempts[^1].NodeName, StringComparison.Ordinal);
        Assert.Equal(2, await FetchedAsync(creator, draft.JobId));
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
    }

    [Fact]
    public async Task Cancelling_stops_an_overflow_agents_unit_and_gives_back_what_was_held()
    {
        var creator = await platform.NewCreatorAsync("Selma");
        var draft = await DraftAsync(overflow: true, failing: 0, failAfterMilliseconds: 200, units: 1, elsewhere: "hang");
        var submitted = await creator.Jobs.SubmitAsync(draft, null, Token);
        await OnAnAgentAsync(creator, draft.JobId);

        var task = await creator.Jobs.CancelAsync(submitted.TaskId, Token);

        Assert.Equal(TaskState.Canceled, task.Status.State);
        // The agent has confirmed that the unit's run is over; until then its slot would stay reserved.
        await Wait.ForAsync(
            () => platform.SqlAsync<string>(
                "SELECT a.status FROM scheduler.attempts a JOIN scheduler.jobs j USING (job_id) WHERE j.client_job_id = $1 ORDER BY a.number DESC LIMIT 1", draft.JobId.Value),
            status => status == "revoked", "the agent to confirm that it has stopped");
        Assert.Equal(0, (await creator.Jobs.GetSummaryAsync(draft.JobId, Token)).Money.ChargedMicrocredits);
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
        await NoAgentsAsync();
    }

    [Fact]
    public async Task A_scheduler_that_is_killed_while_an_agent_works_finds_it_again_and_starts_no_second_one()
    {
        var creator = await platform.NewCreatorAsync("Quentin");
        var draft = await DraftAsync(overflow: true, failing: 0, failAfterMilliseconds: 3000, units: 1);
        var submitted = await creator.Jobs.SubmitAsync(draft, null, Token);
        await OnAnAgentAsync(creator, draft.JobId);
        var agents = await platform.AgentsAsync();

        await platform.CrashAsync("scheduler");
        await platform.WaitUntilWellAsync();
        var last = await JobTests.LastAsync(creator.Jobs.WatchAsync(submitted.TaskId, Token));

        Assert.True(last.State == TaskState.Completed, $"{last.State}: {last.Reason}");
        Assert.Subset(agents.ToHashSet(), (await platform.AgentsAsync()).ToHashSet());
        Assert.Single((await creator.Jobs.GetSummaryAsync(draft.JobId, Token)).Units[0].Attempts, attempt => attempt.NodeName.StartsWith("overflow-", StringComparison.Ordinal));
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
    }

    private async Task<JobDraft> DraftAsync(bool overflow, int failing, int failAfterMilliseconds, int units = 3, string onNodes = "node-", string elsewhere = "succeed")
    {
        var module = await platform.SimulatedModuleAsync();
        return new JobDraft
        {
            Module = module.Reference,
            Units =
            [
                .. Enumerable.Range(0, units).Select(unit => unit == failing
                    ? JsonSerializer.SerializeToElement(new { simulate = new { behaviour = "fail", onNodes, elsewhere, milliseconds = failAfterMilliseconds } })
                    : JsonSerializer.SerializeToElement(new { frame = unit })),
            ],
            Assets = [new DraftAsset("", [AssetSource.FromBytes("scene.txt", Encoding.UTF8.GetBytes("a scene"))])],
            MaxUnitDeviceSeconds = 60,
            CapMicrocredits = Pricing.WorstCase(units, 60, module.RatePerMinuteMicrocredits),
            DeadlineSeconds = 600,
            AllowOverflow = overflow,
        };
    }

    private static Task<JobSummary> OnAnAgentAsync(RenderTrustClient creator, JobId jobId) => Wait.ForAsync(
        () => creator.Jobs.GetSummaryAsync(jobId, Token),
        summary => summary.Units[0].Attempts.Any(attempt => attempt is { EndedAt: null, NodeName: var name } && name.StartsWith("overflow-", StringComparison.Ordinal)),
        "the unit to run on an overflow agent");

    /// <summary>Agents of the test before end by themselves.</summary>
    private async Task NoAgentsAsync() => await Wait.ForAsync(platform.AgentsAsync, agents => agents.Count == 0, "every overflow agent to end by itself");

    private async Task<int> FetchedAsync(RenderTrustClient creator, JobId jobId)
    {
        var files = new List<FetchedOutput>();
        await foreach (var file in creator.Jobs.FetchAsync(jobId, platform.NewFolder("overflow"), Token))
        {
            files.Add(file);
        }

        Assert.All(files, file => Assert.StartsWith("simulated output", File.ReadAllText(file.FileName), StringComparison.Ordinal));
        return files.Count;
    }
}
