using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Actors;

/// <summary>The state of actors, on the wire.</summary>
public sealed class ActorStateTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    [Theory]
    [InlineData("7")]
    [InlineData("\"text\"")]
    [InlineData("""{"a":[1,2]}""")]
    public async Task A_value_comes_back_as_json(string value)
    {
        var actor = await AwakeAsync();
        await SaveAsync(actor, Upsert("k", value));

        Assert.Equal(value, (await Dapr.GetAsync($"{actor}/state/k")).Is(200).Body);
    }

    [Fact]
    public async Task An_absent_value_is_an_empty_204() => Assert.Empty((await Dapr.GetAsync($"{await AwakeAsync()}/state/none")).Is(204).Body);

    [Fact]
    public async Task Post_saves_as_put_does()
    {
        var actor = await AwakeAsync();
        (await Dapr.PostAsync($"{actor}/state", $"[{Upsert("k", "1")}]")).Is(204);

        Assert.Equal("1", (await Dapr.GetAsync($"{actor}/state/k")).Body);
    }

    [Fact]
    public async Task Operations_are_done_in_their_order()
    {
        var actor = await AwakeAsync();
        await SaveAsync(actor, Upsert("old", "1"));

        await SaveAsync(actor, Upsert("k", "1"), Upsert("k", "2"), """{"operation":"delete","request":{"key":"old"}}""");

        Assert.Equal("2", (await Dapr.GetAsync($"{actor}/state/k")).Body);
        (await Dapr.GetAsync($"{actor}/state/old")).Is(204);
    }

    [Fact]
    public async Task Each_actor_has_its_own_state()
    {
        var (one, two) = (await AwakeAsync(), await AwakeAsync());
        await SaveAsync(one, Upsert("k", "1"));

        (await Dapr.GetAsync($"{two}/state/k")).Is(204);
    }

    [Fact]
    public async Task State_outlives_the_actors_activation()
    {
        var id = ActorCallTests.NewId();

        // On a busy machine it may have been idle for too long before it saves.
        await Wait.UntilAsync("an active actor saves", async () =>
        {
            (await Dapr.PutAsync($"/v1.0/actors/Idle/{id}/method/echo", "{}")).Is(200);
            return (await Dapr.PutAsync($"/v1.0/actors/Idle/{id}/state", $"[{Upsert("k", "1")}]")).Status == 204;
        });
        await world.App.ArrivedAsync("the end of the actor", 1, request => request.Method == "DELETE" && request.Path == $"/actors/Idle/{id}");

        Assert.Equal("1", (await Dapr.GetAsync($"/v1.0/actors/Idle/{id}/state/k")).Is(200).Body);
    }

    [Fact]
    public async Task An_actor_that_is_not_active_cannot_save() =>
        (await Dapr.PutAsync($"/v1.0/actors/Plain/{ActorCallTests.NewId()}/state", $"[{Upsert("k", "1")}]")).IsError(400, "ERR_ACTOR_INSTANCE_MISSING");

    [Theory]
    [InlineData("{")]
    [InlineData("\"text\"")]
    public async Task A_body_that_cannot_be_read_is_a_400(string body) => (await Dapr.PutAsync($"{await AwakeAsync()}/state", body)).IsError(400, "ERR_MALFORMED_REQUEST");

    [Fact]
    public async Task A_time_to_live_is_refused_without_its_feature()
    {
        var actor = await AwakeAsync();

        var answer = await Dapr.PutAsync($"{actor}/state", """[{"operation":"upsert","request":{"key":"k","value":1,"metadata":{"ttlInSeconds":"5"}}}]""");

        Assert.InRange(answer.Status, 400, 500);
        (await Dapr.GetAsync($"{actor}/state/k")).Is(204);
    }

    [Theory]
    [InlineData("GET", "/state/k", "")]
    [InlineData("PUT", "/state", "[]")]
    [InlineData("PUT", "/timers/t", """{"dueTime":"1h0m0s0ms","callback":"c"}""")]
    [InlineData("DELETE", "/timers/t", "")]
    [InlineData("PUT", "/reminders/r", """{"dueTime":"1h0m0s0ms"}""")]
    [InlineData("GET", "/reminders/r", "")]
    [InlineData("DELETE", "/reminders/r", "")]
    public async Task Types_of_the_runtime_itself_are_reserved(string verb, string path, string body)
    {
        var actor = "/v1.0/actors/dapr.internal.default.conformance.workflow/1";
        var answer = verb == "PUT" ? await Dapr.PutAsync(actor + path, body) : await Dapr.SendAsync(verb, actor + path);

        answer.IsError(403, "ERR_ACTOR_TYPE_RESERVED");
    }

    private static string Upsert(string key, string value) => $$$"""{"operation":"upsert","request":{"key":"{{{key}}}","value":{{{value}}}}}""";

    private async Task<string> AwakeAsync()
    {
        var actor = $"/v1.0/actors/Plain/{ActorCallTests.NewId()}";
        (await Dapr.PutAsync($"{actor}/method/echo", "{}")).Is(200);
        return actor;
    }

    private async Task SaveAsync(string actor, params string[] operations) => (await Dapr.PutAsync($"{actor}/state", $"[{string.Join(",", operations)}]")).Is(204);
}
