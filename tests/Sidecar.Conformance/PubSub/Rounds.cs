using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.PubSub;

/// <summary>
/// Whatever is to be delivered again is taken up in rounds of the broker. An event that is refused four times shows how they pass, however slow
/// the machine; and on a slow one a delivery may be repeated because it took long, which is no wrong: only what goes on and on is.
/// </summary>
internal static class Rounds
{
    public static async Task AssertAtRestAsync(World world, Func<int> deliveries)
    {
        var clock = EnvelopeTests.NewMark();
        (await world.Main.PostAsync("/v1.0/publish/pubsub/plain", $$"""{"mark":"{{clock}}","answers":["RETRY","RETRY","RETRY","RETRY"]}""")).Is(204);
        await world.App.EventsAsync("plain", clock, 3);
        var before = deliveries();

        await world.App.EventsAsync("plain", clock, 5);

        Assert.Equal(before, deliveries());
    }
}
