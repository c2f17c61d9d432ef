using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>The main job on each real broker: the same services over other components.</summary>
public sealed class BrokerTests(PlatformFixture redis, RabbitMqPlatform rabbitMq) : IClassFixture<RabbitMqPlatform>
{
    private static readonly string[] Brokers = ["redis", "rabbitmq"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("redis")]
    [InlineData("rabbitmq")]
    public async Task The_main_job_ends_paid_and_all_its_facts_have_left(string broker)
    {
        var platform = await StartedAsync(broker);

        var (creator, jobId) = await CompletedJobAsync(platform, "Rita");

        var files = 0;
        await foreach (var file in creator.Jobs.FetchAsync(jobId, platform.NewFolder("frames"), Token))
        {
            Assert.Equal((Scenes.Width, Scenes.Height), Png.SizeOf(file.FileName));
            files++;
        }

        Assert.Equal(2, files);
        await Books.AssertClosedAsync(platform, creator, jobId);
        await FactsLeaveAsync(platform);
        var parts = (await platform.CliAsync(null, "status", "--json")).Json.GetProperty("services").EnumerateArray().Select(part => part.GetProperty("name").GetString()!);
        Assert.Equal([broker], parts.Intersect(Brokers));
    }

    [Theory]
    [InlineData("redis")]
    [InlineData("rabbitmq")]
    public async Task News_reach_their_hearers(string broker)
    {
        var platform = await StartedAsync(broker);
        var developer = platform.Open("developer");
        var povray = await Scenes.PovrayAsync(developer, Token);
        using var http = new HttpClient(platform.Handler, disposeHandler: false) { BaseAddress = platform.Gateway };

        // From here on the gateway keeps its list for an hour: only the news make it ask again.
        Assert.DoesNotContain("heard-of", await http.GetStringAsync("/.well-known/agent-card.json", Token), StringComparison.Ordinal);
        await developer.Modules.PublishAsync(
            new PublishModuleRequest("heard-of", "1.0.0", "Heard of", "Shows that news arrive.", povray.RatePerMinuteMicrocredits, povray.Runtime, null, null, null), Token);

        await Wait.ForAsync(
            () => http.GetStringAsync("/.well-known/agent-card.json", Token), card => card.Contains("heard-of", StringComparison.Ordinal), "the module in the agent card");
    }

    [Theory]
    [InlineData("redis")]
    [InlineData("rabbitmq")]
    public async Task Facts_that_a_killed_broker_could_not_take_leave_when_up_has_started_it_again(string broker)
    {
        var platform = await StartedAsync(broker);
        var dead = await platform.CrashAsync(broker);

        var (creator, jobId) = await CompletedJobAsync(platform, "Sara");
        Assert.NotEqual(0, await WaitingFactsAsync(platform));
        await platform.UpAsync();

        Assert.NotEqual(dead, await platform.PidOfAsync(broker));
        await FactsLeaveAsync(platform);
        await Books.AssertClosedAsync(platform, creator, jobId);
        await platform.WaitUntilWellAsync();
    }

    private async Task<PlatformFixture> StartedAsync(string broker)
    {
        var platform = broker == "redis" ? redis : rabbitMq;
        await platform.StartAsync();
        return platform;
    }

    private static async Task<(RenderTrustClient Creator, JobId JobId)> CompletedJobAsync(PlatformFixture platform, string name)
    {
        var creator = await platform.NewCreatorAsync(name);
        var draft = await Scenes.DraftAsync(creator, Scenes.Ball, 2, Token);
        var last = await JobTests.LastAsync(creator.Jobs.SubmitAndWatchAsync(draft, null, Token));
        Assert.True(last.State == TaskState.Completed, $"{last.State}: {last.Reason}");
        return (creator, draft.JobId);
    }

    private static Task<long> FactsLeaveAsync(PlatformFixture platform) => Wait.ForAsync(() => WaitingFactsAsync(platform), waiting => waiting == 0, "every fact to be with the broker");

    private static Task<long> WaitingFactsAsync(PlatformFixture platform) => platform.SqlAsync<long>(
        "SELECT (SELECT count(*) FROM scheduler.outbox) + (SELECT count(*) FROM ledger.outbox) + (SELECT count(*) FROM identity.outbox) + (SELECT count(*) FROM catalog.outbox)");
}
