using Dapr;
using Dapr.Actors;
using Dapr.Actors.Client;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Actors;

/// <summary>Actors written and called with Dapr.Actors, from another app's sidecar.</summary>
public sealed class ActorSdkTests(World world)
{
    [Fact]
    public async Task An_actor_keeps_its_state()
    {
        var actor = Proxy(ActorCallTests.NewId());

        Assert.Equal(2, await actor.AddAsync(2));
        Assert.Equal(5, await actor.AddAsync(3));
        await actor.RemoveAsync();
        Assert.Equal(1, await actor.AddAsync(1));
    }

    [Fact]
    public async Task Turns_never_overlap()
    {
        var actor = Proxy(ActorCallTests.NewId());

        var totals = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => actor.AddAsync(1)));

        Assert.Equal(Enumerable.Range(1, 20), totals.Order());
    }

    [Fact]
    public async Task Actors_call_each_other() => Assert.Equal("the-other", await Proxy(ActorCallTests.NewId()).AskAsync("the-other"));

    [Fact]
    public async Task An_exception_reaches_the_caller()
    {
        var failure = await Assert.ThrowsAsync<ActorMethodInvocationException>(() => Proxy(ActorCallTests.NewId()).FailAsync());

        Assert.Contains("on purpose", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_weakly_typed_call_works_as_well()
    {
        var proxy = ActorProxy.Create(new ActorId(ActorCallTests.NewId()), nameof(TallyActor), Options);

        Assert.Equal(4, await proxy.InvokeMethodAsync<int, int>(nameof(ITallyActor.AddAsync), 4, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_timer_ticks_until_it_is_stopped()
    {
        var id = ActorCallTests.NewId();
        await Proxy(id).StartTimerAsync("t");
        await SdkApp.UntilAsync($"timer {id} t", 3);

        await Proxy(id).StopTimerAsync("t");

        var count = SdkApp.Count($"timer {id} t");
        await Proxy(id).StartTimerAsync("other");
        await SdkApp.UntilAsync($"timer {id} other", 3);
        Assert.InRange(SdkApp.Count($"timer {id} t"), count, count + 1);
        await Proxy(id).StopTimerAsync("other");
    }

    [Fact]
    public async Task A_reminder_fires_with_its_data()
    {
        var id = ActorCallTests.NewId();
        await Proxy(id).RemindAsync("r", 20);

        await SdkApp.UntilAsync($"reminder {id} r about r");
    }

    [Fact]
    public async Task A_reminder_can_be_read_and_removed()
    {
        var actor = Proxy(ActorCallTests.NewId());
        await actor.RemindAsync("far", 3_600_000);
        Assert.Equal("far 3600", await actor.DescribeReminderAsync("far"));

        await actor.ForgetAsync("far");

        await Assert.ThrowsAsync<ActorMethodInvocationException>(() => actor.DescribeReminderAsync("far"));
    }

    // The caller's sidecar is not the host's: the call crosses from one to the other.
    private ActorProxyOptions Options => new() { HttpEndpoint = world.Main.Http };

    private ITallyActor Proxy(string id) => ActorProxy.Create<ITallyActor>(new ActorId(id), nameof(TallyActor), Options);
}
