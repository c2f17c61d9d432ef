using System.Text;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Actors;

/// <summary>Calls, turns, idleness and reentrancy, on the wire.</summary>
public sealed class ActorCallTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    internal static string NewId() => $"a{Guid.CreateVersion7():N}";

    [Theory]
    [InlineData("PUT")]
    [InlineData("POST")]
    [InlineData("GET")]
    [InlineData("DELETE")]
    public async Task A_call_by_this_verb_is_a_put_to_the_app(string verb)
    {
        var id = NewId();

        var answer = (await Dapr.SendAsync(verb, $"/v1.0/actors/Plain/{id}/method/echo")).Is(200);

        Assert.Equal(("PUT", $"/actors/Plain/{id}/method/echo"), ((string?)answer.Json["method"], (string?)answer.Json["target"]));
    }

    [Fact]
    public async Task Another_app_can_call_it()
    {
        var id = NewId();

        var answer = (await world.Sdk.PutAsync($"/v1.0/actors/Plain/{id}/method/echo", "{}")).Is(200);

        Assert.Equal($"/actors/Plain/{id}/method/echo", (string?)answer.Json["target"]);
    }

    [Fact]
    public async Task Headers_and_body_pass_both_ways()
    {
        var answer = (await Dapr.SendAsync("PUT", $"/v1.0/actors/Plain/{NewId()}/method/echo", Encoding.UTF8.GetBytes("<xml/>"), "application/octet-stream",
            ("X-DaprRequestHeader", "remoting"))).Is(200);

        Assert.Equal(("<xml/>", "remoting", "application/octet-stream"),
            ((string?)answer.Json["body"], (string?)answer.Json["headers"]!["x-daprrequestheader"], (string?)answer.Json["headers"]!["content-type"]));
        Assert.Equal("yes", answer.Header("x-echo"));
    }

    [Fact]
    public async Task An_actors_exception_is_a_200_with_its_header()
    {
        var answer = (await Dapr.PutAsync($"/v1.0/actors/Plain/{NewId()}/method/failure", "{}")).Is(200);

        Assert.Equal(("<Error/>", "an exception in the actor's own words"), (answer.Header("X-DaprErrorResponseHeader"), answer.Body));
    }

    [Theory]
    [InlineData(500)]
    [InlineData(400)]
    [InlineData(503)]
    public async Task An_app_that_answers_this_is_a_500_of_the_call(int status)
    {
        var answer = await Dapr.PutAsync($"/v1.0/actors/Plain/{NewId()}/method/status-{status}", "{}");

        answer.IsError(500, "ERR_ACTOR_INVOKE_METHOD");
    }

    [Fact]
    public async Task A_type_that_nobody_hosts_is_a_404() => (await Dapr.PutAsync("/v1.0/actors/Nobody/1/method/echo", "{}")).IsError(404, "ERR_ACTOR_NO_ADDRESS");

    [Fact]
    public async Task An_app_without_an_actor_store_has_no_actors() =>
        (await world.Bare.GetAsync("/v1.0/actors/Plain/1/state/k")).IsError(500, "ERR_ACTOR_RUNTIME_NOT_FOUND");

    [Fact]
    public async Task One_actor_takes_one_call_at_a_time()
    {
        var id = NewId();

        var insides = await Task.WhenAll(Enumerable.Range(0, 25).Select(async _ => (await Dapr.PutAsync($"/v1.0/actors/Plain/{id}/method/overlap", "{}")).Is(200).Body));

        Assert.All(insides, inside => Assert.Equal("1", inside));
    }

    [Fact]
    public async Task A_call_waits_for_its_turn_while_other_actors_go_on()
    {
        var (busy, free) = (NewId(), NewId());
        var holding = Dapr.PutAsync($"/v1.0/actors/Plain/{busy}/method/hold", "{}");
        await world.App.ArrivedAsync("the first call", 1, request => request.Path == $"/actors/Plain/{busy}/method/hold");
        var waiting = Dapr.PutAsync($"/v1.0/actors/Plain/{busy}/method/echo", "{}");
        (await Dapr.PutAsync($"/v1.0/actors/Plain/{free}/method/echo", "{}")).Is(200);

        Assert.Empty(world.App.Seen(request => request.Path == $"/actors/Plain/{busy}/method/echo"));
        world.App.Release(busy);
        (await holding).Is(200);
        (await waiting).Is(200);
    }

    [Fact]
    public async Task An_idle_actor_is_told_to_go_and_can_be_called_again()
    {
        var id = NewId();
        (await Dapr.PutAsync($"/v1.0/actors/Idle/{id}/method/echo", "{}")).Is(200);

        await world.App.ArrivedAsync("the end of the actor", 1, request => request.Method == "DELETE" && request.Path == $"/actors/Idle/{id}");

        (await Dapr.PutAsync($"/v1.0/actors/Idle/{id}/method/echo", "{}")).Is(200);
    }

    [Fact]
    public async Task A_chain_of_calls_comes_back_into_a_reentrant_actor()
    {
        var id = NewId();

        var answer = (await Dapr.PutAsync($"/v1.0/actors/Again/{id}/method/again", "{}")).Is(200);

        Assert.Equal("200", answer.Header("x-inner-status"));
        var outer = Assert.Single(world.App.Seen(request => request.Path == $"/actors/Again/{id}/method/again"));
        Assert.NotNull(outer.Header("Dapr-Reentrancy-Id"));
        Assert.Equal(outer.Header("Dapr-Reentrancy-Id"), (string?)answer.Json["headers"]!["dapr-reentrancy-id"]);
    }

    [Fact]
    public async Task A_chain_deeper_than_allowed_is_refused()
    {
        var id = NewId();

        var answer = await Dapr.PutAsync($"/v1.0/actors/Again/{id}/method/deeper", "{}");

        Assert.Contains("ERR_ACTOR_STACK_DEPTH", answer.Body, StringComparison.Ordinal);
        Assert.Equal(3, world.App.Seen(request => request.Path == $"/actors/Again/{id}/method/deeper").Count);
    }

    [Fact]
    public async Task Without_reentrancy_no_chain_is_named() =>
        Assert.Null((await Dapr.PutAsync($"/v1.0/actors/Plain/{NewId()}/method/echo", "{}")).Is(200).Json["headers"]!["dapr-reentrancy-id"]);
}
