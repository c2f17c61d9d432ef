using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>Parts are killed without warning while a job runs. The job ends well and every unit is paid once.</summary>
public sealed class CrashTests(PlatformFixture platform) : IAsyncLifetime
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await platform.StartAsync();
        await platform.WaitUntilWellAsync();
    }

    public async ValueTask DisposeAsync() => await platform.WaitUntilWellAsync();

    [Fact]
    public async Task A_killed_agent_comes_back_and_its_job_completes()
    {
        var (creator, draft) = await RunningJobAsync(6);

        var dead = await platform.CrashAsync("node-1");
        await platform.UpAsync();

        Assert.NotEqual(dead, await platform.PidOfAsync("node-1"));
        await AssertCompletesAsync(creator, draft);
    }

    [Fact]
    public async Task A_killed_gateway_interrupts_no_watching_client()
    {
        var (creator, draft) = await RunningJobAsync(6);
        var task = (await creator.Jobs.GetSummaryAsync(draft.JobId, Token)).TaskId.ToString();
        var seen = new List<JobUpdate>();
        var started = new TaskCompletionSource();
        var watching = Task.Run(
            async () =>
            {
                await foreach (var update in creator.Jobs.WatchAsync(task, Token))
                {
                    seen.Add(update);
                    started.TrySetResult();
                }
            },
            Token);
        await Task.WhenAny(started.Task, watching);

        await platform.CrashAsync("gateway");
        await watching;

        Assert.Equal(TaskState.Completed, seen[^1].State);
        Assert.Equal(Enumerable.Range(0, 6), seen.Where(update => update.Kind == JobUpdateKind.UnitCompleted).Select(update => update.UnitIndex!.Value).Order());
        await AssertCompletesAsync(creator, draft);
    }

    [Theory]
    [InlineData("scheduler")]
    [InlineData("ledger")]
    [InlineData("sidecar")]
    public async Task A_killed_part_of_the_control_plane_loses_no_job(string part)
    {
        var (creator, draft) = await RunningJobAsync(6);

        await platform.CrashAsync(part);
        if (part == "sidecar")
        {
            await platform.UpAsync();
        }

        await platform.WaitUntilWellAsync();
        await AssertCompletesAsync(creator, draft);
    }

    private async Task<(RenderTrustClient Creator, JobDraft Draft)> RunningJobAsync(int frames)
    {
        var creator = await platform.NewCreatorAsync("Nora");
        var draft = await Scenes.DraftAsync(creator, Scenes.Slow, frames, Token);
        await creator.Jobs.SubmitAsync(draft, null, Token);
        await Wait.ForAsync(
            () => creator.Jobs.GetSummaryAsync(draft.JobId, Token),
            summary => summary.UnitsCompleted >= 1 && summary.Units.Any(unit => unit.Attempts.Any(attempt => attempt.EndedAt is null)),
            "a unit to be done and another to run");
        return (creator, draft);
    }

    private async Task AssertCompletesAsync(RenderTrustClient creator, JobDraft draft)
    {
        var task = (await creator.Jobs.GetSummaryAsync(draft.JobId, Token)).TaskId.ToString();
        var last = await JobTests.LastAsync(creator.Jobs.WatchAsync(task, Token));
        Assert.True(last.State == TaskState.Completed, $"{last.State}: {last.Reason}");
        Assert.Equal(draft.Units.Count, (await creator.Jobs.GetSummaryAsync(draft.JobId, Token)).UnitsCompleted);
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
    }
}
