using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Actors;

/// <summary>Timers, on the wire.</summary>
public sealed class ActorTimerTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    [Fact]
    public async Task A_timer_calls_the_app_with_what_was_registered()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "once", """{"dueTime":"0h0m0s10ms","callback":"OnTick","data":{"n":1}}""");

        var tick = (await TicksAsync(id, "once", 1))[0];

        Assert.Equal("PUT", tick.Method);
        Assert.Equal(("OnTick", 1, "0h0m0s10ms", ""), ((string?)tick.Json["callback"], (int)tick.Json["data"]!["n"]!, (string?)tick.Json["dueTime"], (string?)tick.Json["period"]));
    }

    [Theory]
    [InlineData("10ms")]
    [InlineData("0h0m0s10ms")]
    [InlineData("PT0S")]
    public async Task A_due_time_may_be_written_like_this(string due)
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "due", $$"""{"dueTime":"{{due}}","callback":"OnTick"}""");

        await TicksAsync(id, "due", 1);
    }

    [Theory]
    [InlineData("1h")]
    [InlineData("P1DT1H")]
    [InlineData("R2/PT1H")]
    public async Task A_period_may_be_written_like_this(string period) =>
        await RegisterAsync(ActorCallTests.NewId(), "t", $$"""{"dueTime":"1h","period":"{{period}}","callback":"OnTick"}""");

    [Fact]
    public async Task A_timer_with_a_period_goes_on_until_it_is_removed()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "often", """{"dueTime":"0h0m0s10ms","period":"0h0m0s50ms","callback":"OnTick"}""");
        await TicksAsync(id, "often", 3);

        (await Dapr.DeleteAsync($"/v1.0/actors/Plain/{id}/timers/often")).Is(204);

        var count = Ticks(id, "often");
        await OtherTicksAsync();
        // One tick may have been waiting for its turn.
        Assert.InRange(Ticks(id, "often"), count, count + 1);
    }

    [Fact]
    public async Task A_timer_without_a_period_fires_once()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "once", """{"dueTime":"0h0m0s10ms","callback":"OnTick"}""");
        await TicksAsync(id, "once", 1);
        await OtherTicksAsync();

        Assert.Equal(1, Ticks(id, "once"));
    }

    [Fact]
    public async Task A_timer_fires_as_often_as_its_repetitions_say()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "thrice", """{"dueTime":"0h0m0s10ms","period":"R3/PT0.05S","callback":"OnTick"}""");
        await TicksAsync(id, "thrice", 3);
        await OtherTicksAsync();

        Assert.Equal(3, Ticks(id, "thrice"));
    }

    [Fact]
    public async Task A_timer_of_the_same_name_replaces_the_first()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "same", """{"dueTime":"1h0m0s0ms","callback":"First"}""");
        await RegisterAsync(id, "same", """{"dueTime":"0h0m0s10ms","callback":"Second"}""");

        Assert.Equal("Second", (string?)(await TicksAsync(id, "same", 1))[0].Json["callback"]);
    }

    [Fact]
    public async Task A_callback_that_fails_does_not_end_the_timer()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "fails-always", """{"dueTime":"0h0m0s10ms","period":"0h0m0s50ms","callback":"OnTick"}""");

        await TicksAsync(id, "fails-always", 3);

        (await Dapr.DeleteAsync($"/v1.0/actors/Plain/{id}/timers/fails-always")).Is(204);
    }

    [Fact]
    public async Task The_app_can_end_a_timer_by_a_header()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "cancel-me", """{"dueTime":"0h0m0s10ms","period":"0h0m0s50ms","callback":"OnTick"}""");
        await TicksAsync(id, "cancel-me", 1);
        await OtherTicksAsync();

        Assert.Equal(1, Ticks(id, "cancel-me"));
    }

    [Fact]
    public async Task A_timer_ends_with_its_time_to_live()
    {
        var id = ActorCallTests.NewId();
        await RegisterAsync(id, "brief", """{"dueTime":"0h0m0s10ms","period":"0h0m0s50ms","ttl":"0h0m2s0ms","callback":"OnTick"}""");
        await TicksAsync(id, "brief", 1);

        await Wait.UntilAsync("a while passes without a tick", async () =>
        {
            var count = Ticks(id, "brief");
            await OtherTicksAsync();
            return Ticks(id, "brief") == count;
        });
    }

    [Fact]
    public async Task A_timer_waits_for_the_actors_turn()
    {
        var id = ActorCallTests.NewId();
        var holding = Dapr.PutAsync($"/v1.0/actors/Plain/{id}/method/hold", "{}");
        await world.App.ArrivedAsync("the call", 1, request => request.Path == $"/actors/Plain/{id}/method/hold");
        await RegisterAsync(id, "patient", """{"dueTime":"0h0m0s10ms","callback":"OnTick"}""");
        await OtherTicksAsync();
        Assert.Equal(0, Ticks(id, "patient"));

        world.App.Release(id);

        (await holding).Is(200);
        await TicksAsync(id, "patient", 1);
    }

    [Fact]
    public async Task Removing_an_unknown_timer_is_no_error() => (await Dapr.DeleteAsync($"/v1.0/actors/Plain/{ActorCallTests.NewId()}/timers/none")).Is(204);

    [Theory]
    [InlineData("Plain", """{"dueTime":"soon"}""")]
    [InlineData("Plain", """{"period":"R0/PT1S"}""")]
    [InlineData("Nobody", """{"dueTime":"0h0m1s0ms","callback":"c"}""")]
    public async Task This_timer_is_refused(string type, string body) =>
        Assert.InRange((await Dapr.PutAsync($"/v1.0/actors/{type}/{ActorCallTests.NewId()}/timers/t", body)).Status, 400, 500);

    private int Ticks(string id, string name) => world.App.Seen(request => request.Path == $"/actors/Plain/{id}/method/timer/{name}").Count;

    private Task<IReadOnlyList<Recorded>> TicksAsync(string id, string name, int count) =>
        world.App.ArrivedAsync($"timer {name} of {id}", count, request => request.Path == $"/actors/Plain/{id}/method/timer/{name}");

    // Long enough for anything quicker to have fired meanwhile: ten ticks of another actor's timer.
    private async Task OtherTicksAsync()
    {
        var other = ActorCallTests.NewId();
        await RegisterAsync(other, "clock", """{"dueTime":"0h0m0s10ms","period":"0h0m0s50ms","callback":"OnTick"}""");
        await TicksAsync(other, "clock", 10);
        (await Dapr.DeleteAsync($"/v1.0/actors/Plain/{other}/timers/clock")).Is(204);
    }

    private async Task RegisterAsync(string id, string name, string body) => (await Dapr.PutAsync($"/v1.0/actors/Plain/{id}/timers/{name}", body)).Is(204);
}
