using System.Text;
using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;
using RenderTrust.Sealing;

namespace RenderTrust.EndToEnd.Tests;

/// <summary><c>rendertrust broker swap</c> under a platform that works.</summary>
public sealed class BrokerSwapTests(SwapPlatform platform) : IClassFixture<SwapPlatform>, IAsyncLifetime
{
    private const int Units = 8;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await platform.StartAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Jobs_end_paid_and_every_fact_leaves_while_the_broker_is_changed_and_changed_back()
    {
        foreach (var broker in await WayThereAndBackAsync())
        {
            var creator = await platform.NewCreatorAsync("Tara");
            var jobs = new[] { await DraftAsync("succeed", Units), await DraftAsync("succeed", Units) };
            var running = new List<Task<JobUpdate>>();
            foreach (var draft in jobs)
            {
                running.Add(JobTests.LastAsync(creator.Jobs.WatchAsync((await creator.Jobs.SubmitAsync(draft, null, Token)).TaskId, Token)));
            }

            // One that is certain to be open throughout, however fast the machine: only its creator ends it.
            var endless = await DraftAsync("hang", units: 1);
            var endlessTask = (await creator.Jobs.SubmitAsync(endless, null, Token)).TaskId;
            await Wait.ForAsync(() => creator.Jobs.GetSummaryAsync(jobs[0].JobId, Token), summary => summary.UnitsCompleted > 0, "the first unit to complete");

            var swap = (await platform.CliAsync(null, "broker", "swap", broker, "--drain-seconds", "120", "--json")).Succeeded().Json;

            Assert.Equal(broker, swap.GetProperty("to").GetString());
            Assert.Equal([broker], await platform.BrokersAsync());
            Assert.InRange(swap.GetProperty("jobsOpen").GetInt64(), 1, jobs.Length + 1);
            Assert.Equal(
                (0, 0, 0),
                (swap.GetProperty("undeliveredAfter").GetInt64(), swap.GetProperty("factsWaiting").GetInt64(), swap.GetProperty("jobsLost").GetInt64()));
            await creator.Jobs.CancelAsync(endlessTask, Token);
            Assert.All(await Task.WhenAll(running), last => Assert.True(last.State == TaskState.Completed, $"{last.State}: {last.Reason}"));
            foreach (var draft in jobs.Append(endless))
            {
                await Wait.ForAsync(() => creator.Jobs.GetSummaryAsync(draft.JobId, Token), summary => summary.Money.HoldClosed, "the hold to be closed");
            }

            // Only now: the books of one job also say that its creator has nothing reserved for another.
            foreach (var draft in jobs)
            {
                await Books.AssertClosedAsync(platform, creator, draft.JobId);
            }

            await FactsLeaveAsync();
            await platform.WaitUntilWellAsync();
        }
    }

    [Theory]
    [InlineData("the new broker runs", true)]
    [InlineData("the services are restarted", false)]
    public async Task A_swap_that_is_killed_leaves_a_platform_that_up_or_another_swap_completes(string moment, bool swapsAgain)
    {
        var creator = await platform.NewCreatorAsync("Udo");
        var draft = await DraftAsync("succeed", Units);
        var running = JobTests.LastAsync(creator.Jobs.SubmitAndWatchAsync(draft, null, Token));
        var before = await platform.PartsAsync();
        var to = Other(Assert.Single(SwapPlatform.BrokersOf(before)));
        using var kill = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var swap = platform.CliUntilKilledAsync(kill.Token, "broker", "swap", to, "--drain-seconds", "120");

        await Wait.ForAsync(
            platform.PartsAsync,
            parts => swap.IsCompleted || (moment == "the new broker runs" ? SwapPlatform.BrokersOf(parts).Count == 2 : parts["sidecar"] != before["sidecar"]), moment);
        await kill.CancelAsync();
        var ended = await Record.ExceptionAsync(() => swap);
        if (swapsAgain)
        {
            (await platform.CliAsync(null, "broker", "swap", to, "--drain-seconds", "120")).Succeeded();
        }
        else
        {
            await platform.UpAsync();
        }

        Assert.IsType<OperationCanceledException>(ended, exactMatch: false);
        Assert.Equal([to], await platform.BrokersAsync());
        var last = await running;
        Assert.True(last.State == TaskState.Completed, $"{last.State}: {last.Reason}");
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
        await FactsLeaveAsync();
        await platform.WaitUntilWellAsync();
    }

    [Fact]
    public async Task What_cannot_be_swapped_is_refused_and_nothing_changes()
    {
        var broker = Assert.Single(await platform.BrokersAsync());
        var sidecar = await platform.PidOfAsync("sidecar");

        var same = await platform.CliAsync(null, "broker", "swap", broker);
        var unknown = await platform.CliAsync(null, "broker", "swap", "kafka");
        var noTime = await platform.CliAsync(null, "broker", "swap", Other(broker), "--drain-seconds", "0");

        Assert.Equal((2, 2, 2), (same.ExitCode, unknown.ExitCode, noTime.ExitCode));
        Assert.Contains($"runs on {broker} already", same.ToString(), StringComparison.Ordinal);
        Assert.Contains("'kafka'", unknown.ToString(), StringComparison.Ordinal);
        Assert.Contains("1 to 3600", noTime.ToString(), StringComparison.Ordinal);
        Assert.Equal([broker], await platform.BrokersAsync());
        Assert.Equal(sidecar, await platform.PidOfAsync("sidecar"));
    }

    private static string Other(string broker) => broker == "redis" ? "rabbitmq" : "redis";

    private async Task<string[]> WayThereAndBackAsync()
    {
        var start = Assert.Single(await platform.BrokersAsync());
        return [Other(start), start];
    }

    private async Task<JobDraft> DraftAsync(string behaviour, int units)
    {
        var module = await platform.SimulatedModuleAsync();
        return new JobDraft
        {
            Module = module.Reference,
            Units = [.. Enumerable.Range(0, units).Select(_ => JsonSerializer.SerializeToElement(new { simulate = new { behaviour, milliseconds = 1500 } }))],
            Assets = [new DraftAsset("", [AssetSource.FromBytes("scene.txt", Encoding.UTF8.GetBytes("a scene"))])],
            MaxUnitDeviceSeconds = 600,
            CapMicrocredits = Pricing.WorstCase(units, 600, module.RatePerMinuteMicrocredits),
            DeadlineSeconds = 1200,
        };
    }

    private async Task FactsLeaveAsync() => await Wait.ForAsync(
        () => platform.SqlAsync<long>(
            "SELECT (SELECT count(*) FROM scheduler.outbox) + (SELECT count(*) FROM ledger.outbox) + (SELECT count(*) FROM identity.outbox) + (SELECT count(*) FROM catalog.outbox)"),
        waiting => waiting == 0, "every fact to be with the broker");
}
