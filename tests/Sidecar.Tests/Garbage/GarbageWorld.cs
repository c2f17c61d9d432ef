using System.Diagnostics;
using System.Net;
using System.Text;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using RenderTrust.TestKit;
using DaprApi = Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>Two apps with every kind of component that is served. "broken" answers with garbage, "sound" is what must go on working beside it.</summary>
public sealed class GarbageWorld(TestDatabase database, RedisServer redis, RabbitMqServer rabbit) : IAsyncDisposable
{
    public static readonly IReadOnlyList<string> Stores = ["memory", "postgres", "older", "sqlite", "redis"];
    public static readonly IReadOnlyList<string> PubSubs = ["bus", "streams", "rabbit"];

    private const string Subscriptions = """
        [{"pubsubname":"bus","topic":"garbage","route":"/hear"},
         {"pubsubname":"streams","topic":"garbage","route":"/hear","deadLetterTopic":"dead"},
         {"pubsubname":"rabbit","topic":"garbage","routes":{"rules":[{"match":"event.type == \"a\"","path":"/a"}],"default":"/hear"}},
         {"pubsubname":"bus","topic":"many","route":"/hear","bulkSubscribe":{"enabled":true,"maxMessagesCount":10,"maxAwaitDurationMs":50}}]
        """;

    private readonly SidecarRig rig = new();
    private HostedTestApp? broken;
    private HostedTestApp? sound;
    private int heard;

    internal RigApp Broken { get; private set; } = null!;
    internal RigApp Sound { get; private set; } = null!;
    public HttpClient Client { get; } = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { Timeout = Campaign.HangLimit };

    public async Task StartAsync()
    {
        var postgres = PostgresStateTests.Libpq(database);
        rig.Component("memory", "state.in-memory");
        rig.Component("postgres", "state.postgresql", "v2", SidecarRig.Setting("connectionString", postgres) + ", " + SidecarRig.Setting("actorStateStore", "true"));
        rig.Component("older", "state.postgresql", "v1", SidecarRig.Setting("connectionString", postgres) + ", " + SidecarRig.Setting("tableName", "older"));
        rig.Component("sqlite", "state.sqlite", metadata: SidecarRig.Setting("connectionString", "state.db"));
        rig.Component("redis", "state.redis", metadata: SidecarRig.Setting("redisHost", redis.Host) + ", " + SidecarRig.Setting("redisDB", "9"));
        rig.Component("bus", "pubsub.in-memory");
        rig.Component("streams", "pubsub.redis", metadata: SidecarRig.Setting("redisHost", redis.Host) + ", " + SidecarRig.Setting("redisDB", "9") + ", " + SidecarRig.Setting("consumerID", "garbage"));
        rig.Component("rabbit", "pubsub.rabbitmq", metadata: SidecarRig.Setting("connectionString", await rabbit.StartedAsync()));
        rig.Component("environment", "secretstores.local.env");
        rig.Component("file", "secretstores.local.file", metadata: SidecarRig.Setting("secretsFile", "secrets.json"));
        Broken = rig.AddApp("broken");
        Sound = rig.AddApp("sound");
        foreach (var app in new[] { Broken, Sound })
        {
            await File.WriteAllTextAsync(Path.Combine(rig.Root, app.Id, "secrets.json"), """{"key":"value","nested":{"a":"b"}}""");
        }

        broken = await HostedTestApp.StartAsync(Broken.AppPort, web => new BrokenApp(Campaign.Seed).Map(web, Subscriptions), use: BrokenApp.Use);
        sound = await HostedTestApp.StartAsync(Sound.AppPort, web =>
        {
            web.MapGet("/dapr/config", () => """{"entities":["Sound"]}""");
            web.MapGet("/dapr/subscribe", () => """[{"pubsubname":"bus","topic":"canary","route":"/heard"},{"pubsubname":"streams","topic":"canary","route":"/heard"},{"pubsubname":"rabbit","topic":"canary","route":"/heard"}]""");
            web.MapPost("/heard", () => Interlocked.Increment(ref heard));
            web.MapPut("/actors/Sound/{id}/method/{method}", () => "sound");
            web.MapDelete("/actors/Sound/{id}", () => { });
            web.MapGet("/well", () => "well");
        }, use: BrokenApp.Use);
        await rig.StartAsync();
    }

    /// <summary>Everything that the sound app uses still works, and nothing that the last batch has left behind goes on for ever.</summary>
    public async Task AssertAliveAsync(CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress(Broken.Grpc);
        await new DaprApi(channel).UnregisterActorRemindersByTypeAsync(new() { ActorType = "Broken" }, deadline: DateTime.UtcNow + Campaign.HangLimit, cancellationToken: cancellationToken);
        var value = Guid.CreateVersion7().ToString("N");
        foreach (var store in Stores)
        {
            using var saved = await Client.PostAsync($"{Sound.Http}/v1.0/state/{store}", Json($$"""[{"key":"canary","value":"{{value}}"}]"""), cancellationToken);
            Assert.Equal((store, HttpStatusCode.NoContent), (store, saved.StatusCode));
            using var found = await Client.GetAsync(new Uri($"{Sound.Http}/v1.0/state/{store}/canary"), cancellationToken);
            Assert.Equal($"{store} \"{value}\"", $"{store} {await found.Content.ReadAsStringAsync(cancellationToken)}");
        }

        var before = Volatile.Read(ref heard);
        foreach (var pubSub in PubSubs)
        {
            using var published = await Client.PostAsync($"{Sound.Http}/v1.0/publish/{pubSub}/canary", Json("{}"), cancellationToken);
            Assert.Equal((pubSub, HttpStatusCode.NoContent), (pubSub, published.StatusCode));
        }

        await Wait.UntilAsync("the sound app hears one event of each broker", () => Volatile.Read(ref heard) >= before + PubSubs.Count, () => Volatile.Read(ref heard) - before);
        Assert.Equal("well", await Client.GetStringAsync($"{Sound.Http}/v1.0/invoke/broken/method/well", cancellationToken));
        using var actor = await Client.PutAsync($"{Sound.Http}/v1.0/actors/Sound/one/method/ask", Json("{}"), cancellationToken);
        Assert.Equal("sound", await actor.Content.ReadAsStringAsync(cancellationToken));
        await rig.ReadyAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        Client.Dispose();
        foreach (var app in new[] { broken, sound }.OfType<HostedTestApp>())
        {
            await app.DisposeAsync();
        }
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");
}
