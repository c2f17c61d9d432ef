using System.Diagnostics;
using Npgsql;
using RenderTrust.A2A;
using RenderTrust.Chaos.Tests.Campaign;
using RenderTrust.Chaos.Tests.Platform;
using RenderTrust.Client;
using RenderTrust.Contracts;

[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace RenderTrust.Chaos.Tests;

/// <summary>
/// A platform under load whose processes are killed again and again, at every failpoint and at random. Afterwards nothing is lost, nothing is charged
/// twice, nothing was completed under a stale token, and the books balance.
/// </summary>
public sealed class CrashCampaignTests
{
    private const int Creators = 4;
    private const long CreditsEach = 100_000;
    private static readonly TimeSpan OrphanLife = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RestLimit = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task Kills_at_every_failpoint_and_at_random_lose_nothing_and_double_nothing()
    {
        var plan = CampaignPlan.Read();
        Console.WriteLine($"Measured crash campaign: {plan.Form} form, RENDERTRUST_SEED={plan.Seed}");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(plan.Limit);
        await using var platform = await ChaosPlatform.StartAsync(plan.Nodes, limit.Token);
        var module = await FakeModule.PublishAsync(platform.OpenDeveloper(), limit.Token);
        var creators = new List<RenderTrustClient>();
        for (var number = 1; number <= Creators; number++)
        {
            creators.Add(await platform.NewCreatorAsync($"creator-{number}", CreditsEach, limit.Token));
        }

        var watch = Stopwatch.StartNew();
        var tally = new Tally();
        await using var database = platform.OpenDatabase();
        var jobs = await BattleAsync(platform, plan, tally, creators, module, database, limit.Token);
        var battle = watch.Elapsed;

        await ComeToRestAsync(platform, tally, database, limit.Token);
        await AssertAsync(platform, plan, tally, jobs, database, battle, limit.Token);
    }

    private static async Task<IReadOnlyList<LivedJob>> BattleAsync(
        ChaosPlatform platform, CampaignPlan plan, Tally tally, List<RenderTrustClient> creators, ModuleVersion module, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var restorer = new Restorer(platform, tally);
#pragma warning disable CA2025 // All are awaited below, before it goes.
        var restoring = restorer.RunAsync(stop.Token);
        using var killTime = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
        killTime.CancelAfter(plan.KillFor);
        var load = new Load(creators, module, plan, tally, token => LeaveHoldBehindAsync(database, creators[0], token));
        var killing = new Killer(platform, restorer, new Provocation(platform, load, database), plan, tally).RunAsync(killTime.Token);
        var living = load.RunAsync(killing, stop.Token);
        var telling = TellAsync(platform, plan, tally, stop.Token);
#pragma warning restore CA2025

        try
        {
            // Whatever fails first is the cause of what fails after it.
            await await Task.WhenAny(living, restoring);
            Assert.True(killing.IsCompleted, $"The load ended before all kills had happened: {Progress(platform, plan, tally)}");
            if (!killing.IsCanceled)
            {
                await killing;
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(living, restoring, killing, telling).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        await restorer.RestoreAsync(cancellationToken);
        return await living;
    }

    /// <summary>Of a run of an hour one wants to know how far it is.</summary>
    private static async Task TellAsync(ChaosPlatform platform, CampaignPlan plan, Tally tally, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(2));
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            Console.WriteLine($"So far: {tally.JobsAccepted} jobs ended, {tally.UnitsTold} units completed, {Progress(platform, plan, tally)}");
        }
    }

    /// <summary>A hold whose job never came to be, as an unlucky caller of the ledger would leave it.</summary>
    private static Task LeaveHoldBehindAsync(NpgsqlDataSource database, RenderTrustClient creator, CancellationToken cancellationToken) => Wait.UntilAsync(
        "a hold to be left behind",
        async () =>
        {
            await using var command = database.CreateCommand("SELECT outcome FROM ledger.place_hold_v1($1, $2, 1000000, $3, $4)");
            command.Parameters.Add(new() { Value = Guid.CreateVersion7() });
            command.Parameters.Add(new() { Value = creator.Profile.Facts.TenantId.Value });
            command.Parameters.Add(new() { Value = DateTime.UtcNow + OrphanLife });
            command.Parameters.Add(new() { Value = Guid.CreateVersion7() });
            return (string)(await command.ExecuteScalarAsync(cancellationToken))! == "placed";
        },
        cancellationToken);

    private static Task<string> ComeToRestAsync(ChaosPlatform platform, Tally tally, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        Assert.All(Failpoints.All, name => Assert.False(platform.Failpoints.IsArmed(name)));
        return Wait.ForAsync(
            "the platform to come to rest",
            async () =>
            {
                await ResumeParkedSagasAsync(tally, database, cancellationToken);
                return string.Join("; ", await Verdict.ReadAsync(database, Verdict.AtRest, cancellationToken));
            },
            busy => busy.Length == 0, cancellationToken, RestLimit);
    }

    /// <summary>What an operator does: a step that found the database dead for a minute and a half waits for a person.</summary>
    private static async Task ResumeParkedSagasAsync(Tally tally, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "SELECT count(*) FILTER (WHERE scheduler.resume_saga(job_id)) FROM scheduler.sagas WHERE parked_at IS NOT NULL AND done_at IS NULL");
        tally.Resumed((int)(long)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    private static async Task AssertAsync(
        ChaosPlatform platform, CampaignPlan plan, Tally tally, IReadOnlyList<LivedJob> jobs, NpgsqlDataSource database, TimeSpan battle, CancellationToken cancellationToken)
    {
        var hits = platform.Failpoints.Hits();
        var ends = await EndsAsync(database, cancellationToken);
        var lost = jobs.Where(job => !ends.TryGetValue(job.TaskId, out var end) || end != job.State.ToString()).Select(job => $"{job.TaskId}: told {job.State}, kept {ends.GetValueOrDefault(job.TaskId)}").ToList();
        var astray = jobs.Where(job => !IsMeant(job)).Select(job => $"{job.TaskId} ({job.Course}) ended as {job.State} with units {string.Join(", ", job.UnitsTold)}: {job.Reason}").ToList();
        var complaints = jobs.SelectMany(job => job.Complaints).ToList();
        var broken = await Verdict.ReadAsync(database, Verdict.Broken, cancellationToken);
        var topics = await Facts.ReadAsync(platform, database, cancellationToken);
        var opened = await OpenOutputsAsync(jobs, cancellationToken);

        Console.WriteLine($"Measured crash campaign: {jobs.Count} jobs accepted in {battle.TotalMinutes:0.0} min ({string.Join(", ", jobs.GroupBy(job => job.State).OrderBy(group => group.Key).Select(group => $"{group.Count()} {group.Key}"))}), {jobs.Sum(job => job.UnitsTold.Count)} units completed, {opened} outputs opened");
        Console.WriteLine($"Measured crash campaign: {Progress(platform, plan, tally)}");
        Console.WriteLine($"Measured crash campaign: hits by failpoint: {string.Join(", ", plan.Failpoints.Select(name => $"{name} {hits.GetValueOrDefault(name)}"))}");
        Console.WriteLine($"Measured crash campaign: {lost.Count} jobs lost, {astray.Count} ended otherwise than meant, {complaints.Count} complaints of watching clients, {broken.Count} of {Verdict.Broken.Count} rules broken (captured twice, stale token, holds, logs, books)");
        Console.WriteLine($"Measured crash campaign: {string.Join("; ", topics)}");

        Assert.Empty(lost);
        Assert.Empty(broken);
        Assert.Empty(complaints);
        Assert.Empty(astray);
        Assert.All(topics, topic => Assert.True(topic is { Missing: 0, Doubled: 0 }, topic.ToString()));
        Assert.True(jobs.Count >= plan.Jobs && tally.RandomKills >= plan.RandomKills, $"{jobs.Count} jobs, {tally.RandomKills} random kills");
        Assert.All(plan.Failpoints, name => Assert.True(hits.GetValueOrDefault(name) >= plan.HitsPerFailpoint, $"{name} was hit {hits.GetValueOrDefault(name)} times"));
    }

    private static string Progress(ChaosPlatform platform, CampaignPlan plan, Tally tally)
    {
        var hits = platform.Failpoints.Hits();
        var missing = plan.Failpoints.Where(name => hits.GetValueOrDefault(name) < plan.HitsPerFailpoint).ToList();
        return $"{tally.RandomKills} random kills ({string.Join(", ", tally.RandomKillsByPart.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key} {pair.Value}"))}), "
            + $"{hits.Values.Sum()} kills at {hits.Count} of {plan.Failpoints.Count} failpoints, {tally.Provocations} kills to open the way to one, {tally.Freezes} nodes frozen, 'up' {tally.Ups} times ({tally.UpsFailed} failed under fire), {tally.SagasResumed} parked sagas resumed"
            + (missing.Count > 0 ? $"; not yet: {string.Join(", ", missing)}" : "");
    }

    private static bool IsMeant(LivedJob job) => job.Course.End switch
    {
        MeantEnd.Completed or MeantEnd.CompletedByOverflow => job.State == TaskState.Completed && job.UnitsTold.SequenceEqual(Enumerable.Range(0, job.Course.Units)),
        MeantEnd.FailedByModule or MeantEnd.FailedByDeadline => job.State == TaskState.Failed,
        _ => job.State is TaskState.Canceled or TaskState.Completed,
    };

    private static async Task<Dictionary<string, string>> EndsAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        var ends = new Dictionary<string, string>();
        await using var command = database.CreateCommand("SELECT task_id::text, initcap(status) FROM scheduler.jobs");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            ends[reader.GetString(0)] = reader.GetString(1);
        }

        return ends;
    }

    /// <summary>What was paid for is there: fetches, checks and opens the outputs of every tenth completed job.</summary>
    private static async Task<int> OpenOutputsAsync(IReadOnlyList<LivedJob> jobs, CancellationToken cancellationToken)
    {
        var opened = 0;
        var folder = Directory.CreateTempSubdirectory("chaos-outputs-").FullName;
        foreach (var job in jobs.Where(job => job.State == TaskState.Completed).Where((_, index) => index % 10 == 0))
        {
            await foreach (var output in job.Creator.Jobs.FetchAsync(job.JobId, Path.Combine(folder, job.TaskId), cancellationToken))
            {
                Assert.True(output.SizeBytes > 0, output.FileName);
                opened++;
            }
        }

        Directory.Delete(folder, recursive: true);
        return opened;
    }
}
