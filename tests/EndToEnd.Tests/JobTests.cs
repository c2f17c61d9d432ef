using RenderTrust.A2A;
using RenderTrust.Client.Jobs;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>The main job, through the client library.</summary>
public sealed class JobTests(PlatformFixture platform) : IAsyncLifetime
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await platform.StartAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_sealed_scene_comes_back_as_frames_and_every_unit_is_paid_once()
    {
        var creator = await platform.NewCreatorAsync("Anna");
        var draft = await Scenes.DraftAsync(creator, Scenes.Ball, 3, Token);

        var updates = new List<JobUpdate>();
        await foreach (var update in creator.Jobs.SubmitAndWatchAsync(draft, null, Token))
        {
            updates.Add(update);
        }

        Assert.Equal(TaskState.Completed, updates[^1].State);
        Assert.Equal([0, 1, 2], updates.Where(update => update.Kind == JobUpdateKind.UnitCompleted).Select(update => update.UnitIndex!.Value).Order());
        var folder = platform.NewFolder("frames");
        var files = new List<FetchedOutput>();
        await foreach (var file in creator.Jobs.FetchAsync(draft.JobId, folder, Token))
        {
            files.Add(file);
        }

        Assert.Equal(3, files.Count);
        Assert.All(files, file => Assert.Equal((Scenes.Width, Scenes.Height), Png.SizeOf(file.FileName)));
        var summary = await creator.Jobs.GetSummaryAsync(draft.JobId, Token);
        Assert.All(summary.Units, unit => Assert.Equal("node-1", Assert.Single(unit.Attempts).NodeName));
        Assert.All(summary.Units, unit => Assert.NotEmpty(unit.Attempts[0].Decision.Explanation));
        Assert.True(summary.Money.ChargedMicrocredits > 0);
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
    }

    [Fact]
    public async Task A_job_can_be_submitted_watched_and_fetched_separately_and_its_submission_repeated()
    {
        var creator = await platform.NewCreatorAsync("Bela");
        var draft = await Scenes.DraftAsync(creator, Scenes.Ball, 2, Token);

        var submitted = await creator.Jobs.SubmitAsync(draft, null, Token);
        var repeated = await creator.Jobs.ResubmitAsync(draft.JobId, Token);
        var last = await LastAsync(creator.Jobs.WatchAsync(submitted.TaskId, Token));
        var later = await LastAsync(creator.Jobs.WatchAsync(submitted.TaskId, Token));

        Assert.Equal(submitted.TaskId, repeated.TaskId);
        Assert.Equal(TaskState.Completed, last.State);
        Assert.Equal(TaskState.Completed, later.State);
        Assert.Single((await creator.Jobs.ListAsync(null, Token)).Jobs);
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
    }

    [Fact]
    public async Task A_cancelled_job_keeps_what_was_done_and_gives_back_the_rest()
    {
        var creator = await platform.NewCreatorAsync("Cleo");
        var draft = await Scenes.DraftAsync(creator, Scenes.Slow, 12, Token);

        var submitted = await creator.Jobs.SubmitAsync(draft, null, Token);
        await Wait.ForAsync(() => creator.Jobs.GetSummaryAsync(draft.JobId, Token), summary => summary.UnitsCompleted >= 1);
        var task = await creator.Jobs.CancelAsync(submitted.TaskId, Token);

        Assert.Equal(TaskState.Canceled, task.Status.State);
        var summary = await creator.Jobs.GetSummaryAsync(draft.JobId, Token);
        Assert.InRange(summary.UnitsCompleted, 1, 11);
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
    }

    [Fact]
    public async Task A_scene_that_breaks_fails_the_job_with_its_cause_and_keeps_the_good_frames()
    {
        var creator = await platform.NewCreatorAsync("Dora");
        var draft = await Scenes.DraftAsync(creator, Scenes.BreaksHalfWay, 4, Token);

        var last = await LastAsync(creator.Jobs.SubmitAndWatchAsync(draft, null, Token));

        Assert.Equal(TaskState.Failed, last.State);
        Assert.Contains("module_failed", last.Reason, StringComparison.Ordinal);
        var summary = await creator.Jobs.GetSummaryAsync(draft.JobId, Token);
        Assert.InRange(summary.UnitsCompleted, 1, 2);
        Assert.Contains(summary.Units.SelectMany(unit => unit.Attempts), attempt => attempt.FailureClass == "module_failed" && attempt.Reason is { Length: > 0 });
        var kept = new List<FetchedOutput>();
        await foreach (var file in creator.Jobs.FetchAsync(draft.JobId, platform.NewFolder("kept"), Token))
        {
            kept.Add(file);
        }

        Assert.Equal(summary.UnitsCompleted, kept.Count);
        Assert.All(kept, file => Assert.Equal((Scenes.Width, Scenes.Height), Png.SizeOf(file.FileName)));
        await Books.AssertClosedAsync(platform, creator, draft.JobId);
    }

    internal static async Task<JobUpdate> LastAsync(IAsyncEnumerable<JobUpdate> updates)
    {
        JobUpdate? last = null;
        await foreach (var update in updates)
        {
            last = update;
        }

        return last ?? throw new InvalidOperationException("The stream told nothing.");
    }
}
