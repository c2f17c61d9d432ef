using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Host;

/// <summary>bindings.cron: the app is asked whether it listens, then hears every tick.</summary>
public sealed class CronTests(World world)
{
    [Fact]
    public async Task Ticks_come_again_and_again() => await TicksAsync(2);

    [Fact]
    public async Task A_tick_is_a_post_without_a_body_that_says_when()
    {
        var tick = (await TicksAsync(1))[0];

        Assert.Empty(tick.Bytes);
        Assert.StartsWith("application/json", tick.Header("Content-Type"), StringComparison.Ordinal);
        Assert.InRange(DateTimeOffset.Parse(tick.Header("readTimeUTC")!), DateTimeOffset.UtcNow.AddMinutes(-30), DateTimeOffset.UtcNow.AddMinutes(1));
        Assert.NotNull(tick.Header("timeZone"));
    }

    [Fact]
    public async Task The_app_is_asked_first_whether_it_has_the_route()
    {
        await TicksAsync(1);

        Assert.NotEmpty(world.App.Seen(request => request.Method == "OPTIONS" && request.Path == "/ticks"));
        Assert.NotEmpty(world.App.Seen(request => request.Method == "OPTIONS" && request.Path == "/missing/tick"));
    }

    [Fact]
    public async Task A_route_that_the_app_does_not_have_gets_no_ticks()
    {
        await TicksAsync(3);

        Assert.Empty(world.App.Seen(request => request.Method == "POST" && request.Path == "/missing/tick"));
    }

    private Task<IReadOnlyList<Recorded>> TicksAsync(int count) => world.App.ArrivedAsync("a tick", count, request => request.Method == "POST" && request.Path == "/ticks");
}
