using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

/// <summary>Every state store can keep actors' state and reminders.</summary>
public sealed class ActorStoreTests(TestDatabase database, RedisServer redis) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly SidecarRig rig = new();
    private HostedTestApp? web;
    private int reminded;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        if (web is not null)
        {
            await web.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("state.redis", "v1")]
    [InlineData("state.sqlite", "v1")]
    [InlineData("state.in-memory", "v1")]
    [InlineData("state.postgresql", "v1")]
    public async Task Actors_keep_their_state_and_reminders_there(string type, string version)
    {
        rig.Component("actors", type, version, string.Join(", ", Place(type), SidecarRig.Setting("actorStateStore", "true")));
        var app = rig.AddApp("hero");
        web = await HostedTestApp.StartAsync(app.AppPort, Map);
        await rig.StartAsync();
        var actor = $"{app.Http}/v1.0/actors/Hero/{Guid.CreateVersion7():N}";
        using var woken = await rig.Client.PutAsync($"{actor}/method/wake", null, Token);
        using var written = await rig.Client.PutAsync($"{actor}/state", new StringContent(
            """[{"operation":"upsert","request":{"key":"gone","value":1}},{"operation":"delete","request":{"key":"gone"}},{"operation":"upsert","request":{"key":"name","value":"Ada"}}]"""), Token);
        using var gone = await rig.Client.GetAsync($"{actor}/state/gone", Token);
        using var reminder = await rig.Client.PutAsync($"{actor}/reminders/soon", new StringContent("""{"dueTime":"10ms"}"""), Token);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NoContent, HttpStatusCode.NoContent), (woken.StatusCode, written.StatusCode, gone.StatusCode));
        Assert.Equal("\"Ada\"", await rig.Client.GetStringAsync($"{actor}/state/name", Token));
        Assert.Equal(HttpStatusCode.NoContent, reminder.StatusCode);
        await Wait.UntilAsync("the reminder fires and is gone", async () =>
        {
            using var read = await rig.Client.GetAsync($"{actor}/reminders/soon", Token);
            return Volatile.Read(ref reminded) > 0 && read.StatusCode == HttpStatusCode.NotFound;
        });
        Assert.Equal(1, reminded);
    }

    [Theory]
    [InlineData("state.redis", "v1")]
    [InlineData("state.sqlite", "v1")]
    public async Task Reminders_of_many_actors_at_once_all_fire_and_outlive_the_host(string type, string version)
    {
        rig.Component("actors", type, version, string.Join(", ", Place(type), SidecarRig.Setting("actorStateStore", "true")));
        var app = rig.AddApp("hero");
        web = await HostedTestApp.StartAsync(app.AppPort, Map);
        await rig.StartAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            using var set = await rig.Client.PutAsync($"{app.Http}/v1.0/actors/Hero/{i}/reminders/soon", new StringContent("""{"dueTime":"1s"}"""), Token);
            return set.StatusCode;
        }));
        await rig.StopAsync();
        await rig.StartAsync();
        await Wait.UntilAsync("every one fires", () => Volatile.Read(ref reminded) >= 20, () => reminded);

        Assert.All(answers, status => Assert.Equal(HttpStatusCode.NoContent, status));
    }

    [Fact]
    public async Task With_its_feature_on_actor_state_expires()
    {
        await File.WriteAllTextAsync(Path.Combine(rig.Root, "ttl.yaml"), """
            apiVersion: dapr.io/v1alpha1
            kind: Configuration
            metadata: {name: ttl}
            spec: {features: [{name: ActorStateTTL, enabled: true}]}
            """, Token);
        rig.Component("actors", "state.sqlite", "v1", string.Join(", ", Place("state.sqlite"), SidecarRig.Setting("actorStateStore", "true")));
        var app = rig.AddApp("hero", extra: "    configFilePath: ../ttl.yaml\n");
        web = await HostedTestApp.StartAsync(app.AppPort, Map);
        await rig.StartAsync();
        var actor = $"{app.Http}/v1.0/actors/Hero/{Guid.CreateVersion7():N}";
        using var woken = await rig.Client.PutAsync($"{actor}/method/wake", null, Token);
        using var written = await rig.Client.PutAsync($"{actor}/state", new StringContent(
            """[{"operation":"upsert","request":{"key":"brief","value":1,"metadata":{"ttlInSeconds":"1"}}},{"operation":"upsert","request":{"key":"long","value":1,"metadata":{"ttlInSeconds":"1000"}}}]"""), Token);
        using var read = await rig.Client.GetAsync($"{actor}/state/long", Token);

        Assert.Equal(HttpStatusCode.NoContent, written.StatusCode);
        Assert.True(read.Headers.Contains("Metadata.ttlExpireTime"));
        await Wait.UntilAsync("the brief one is gone", async () =>
        {
            using var gone = await rig.Client.GetAsync($"{actor}/state/brief", Token);
            return gone.StatusCode == HttpStatusCode.NoContent;
        });
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Place(string type) => type switch
    {
        "state.redis" => SidecarRig.Setting("redisHost", redis.Host) + ", " + SidecarRig.Setting("redisDB", "6"),
        "state.sqlite" => SidecarRig.Setting("connectionString", "actors.db"),
        "state.postgresql" => SidecarRig.Setting("connectionString", PostgresStateTests.Libpq(database)),
        _ => SidecarRig.Setting("keyPrefix", "none"),
    };

    private void Map(WebApplication routes)
    {
        routes.MapGet("/dapr/config", () => Results.Text("""{"entities": ["Hero"]}""", "application/json"));
        routes.MapPut("/actors/Hero/{id}/method/wake", () => Results.Ok());
        routes.MapPut("/actors/Hero/{id}/method/remind/soon", () =>
        {
            Interlocked.Increment(ref reminded);
            return Results.Ok();
        });
        routes.MapDelete("/actors/Hero/{id}", () => Results.Ok());
    }
}
