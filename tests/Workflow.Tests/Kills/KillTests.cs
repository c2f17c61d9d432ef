using System.Diagnostics;
using RenderTrust.Sidecar.Tests;
using RenderTrust.TestKit;

namespace RenderTrust.Workflow.Tests.Kills;

/// <summary>
/// The sidecar host is killed at random moments, also while it starts, and a worker now and then, while clients start workflows of every shape,
/// publish events to a Redis and a RabbitMQ that keep what they acknowledge, and set reminders. 12 kills, 500 with RENDERTRUST_LONG=1, or RENDERTRUST_KILLS; RENDERTRUST_SEED repeats the choices.
/// </summary>
[Collection(nameof(Alone))]
public sealed class KillTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private const int StartMsMax = 700;
    private const int PauseMsMax = 800;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task However_often_the_sidecar_is_killed_workflows_end_exactly_once_and_acknowledged_events_and_reminders_arrive()
    {
        var kills = int.TryParse(Environment.GetEnvironmentVariable("RENDERTRUST_KILLS"), out var given) ? given : KillRig.IsLong ? 500 : 12;
        await using var redis = new RedisServer { IsDurable = true };
        await redis.InitializeAsync();
        await using var rabbit = new RabbitMqServer();
        await using var rig = await KillRig.StartAsync(database, hosts: 1, workersEach: 2, (redis.Host, await rabbit.StartedAsync()));
        var watch = Stopwatch.StartNew();

        var (early, workerKills) = await KillAsync(rig, kills);
        var verdict = await rig.EndAsync();

        Console.WriteLine(
            $"Measured crash suite of the workflow engine: the sidecar killed {kills} times ({early} while it started), workers {workerKills} times, in {watch.Elapsed.TotalSeconds:F0} s, RENDERTRUST_SEED={KillRig.Seed}: "
            + $"{verdict.Describe(rig.Starters)}; {rig.Events!.Describe()}");
        Assert.True(verdict.Wrong.Count == 0, string.Join('\n', verdict.Wrong.Take(30)));
        Assert.True(rig.Events.HasHeardOfAll, $"Too little was published or set to prove anything: {rig.Events.Describe()}");
        Assert.True(rig.Starters.Complaints.IsEmpty, string.Join('\n', rig.Starters.Complaints.Take(30)));
    }

    private static async Task<(int Early, int WorkerKills)> KillAsync(KillRig rig, int kills)
    {
        var random = new Random(KillRig.Seed);
        var sidecar = rig.Sidecars[0];
        var (early, workerKills) = (0, 0);
        for (var kill = 1; kill <= kills; kill++)
        {
            if (kill > 1 && random.Next(6) == 0)
            {
                early++;
                await Task.Delay(random.Next(StartMsMax), Token);
            }
            else
            {
                await sidecar.ReadyAsync(KillRig.BackLimit);
                await rig.WorkflowsEndAsync(sidecar);
                await Task.Delay(random.Next(PauseMsMax), Token);
            }

            if (random.Next(3) == 0)
            {
                workerKills++;
                var worker = rig.Workers[random.Next(rig.Workers.Count)];
                await worker.KillAsync(Token);
                worker.Launch();
            }

            await sidecar.KillAsync();
            sidecar.Launch();
        }

        await sidecar.ReadyAsync(KillRig.BackLimit);
        return (early, workerKills);
    }
}

/// <summary>Tests that load the machine run after the others, one by one.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
