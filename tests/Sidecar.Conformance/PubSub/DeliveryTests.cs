using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.PubSub;

/// <summary>Routes, answers, redelivery and dead letters.</summary>
public sealed class DeliveryTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    [Theory]
    [InlineData("")]
    [InlineData("SUCCESS")]
    [InlineData("empty")]
    [InlineData("garbage")]
    [InlineData("201")]
    [InlineData("DROP")]
    [InlineData("404")]
    public async Task This_answer_ends_the_delivery(string answer)
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync("plain", mark, [.. Enumerable.Repeat(answer, 30)]);
        await world.App.EventsAsync("plain", mark);

        await Rounds.AssertAtRestAsync(world, () => world.App.EventCount("plain", mark));
    }

    [Theory]
    [InlineData("RETRY")]
    [InlineData("500")]
    [InlineData("429")]
    [InlineData("PERHAPS")]
    public async Task After_this_answer_the_same_event_comes_again(string answer)
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync("plain", mark, answer);

        var deliveries = await world.App.EventsAsync("plain", mark, 2);

        Assert.Single(deliveries.Select(delivery => (string?)delivery.Json["id"]).Distinct());
    }

    [Fact]
    public async Task A_route_that_the_app_does_not_have_is_not_tried_again()
    {
        var mark = EnvelopeTests.NewMark();
        bool IsIt(Recorded request) => request.Path == "/missing/route" && request.Body.Contains(mark, StringComparison.Ordinal);
        await PublishAsync("lost", mark);
        await world.App.ArrivedAsync("the event", 1, IsIt);

        await Rounds.AssertAtRestAsync(world, () => world.App.Seen(IsIt).Count);
    }

    [Theory]
    [InlineData("500")]
    [InlineData("RETRY")]
    [InlineData("DROP")]
    [InlineData("404")]
    public async Task After_this_answer_the_event_goes_to_the_dead_letter_topic(string answer)
    {
        var mark = EnvelopeTests.NewMark();

        // Again should it be delivered again: a slow machine may be late with the first answer.
        await PublishAsync("dead", mark, answer, answer, answer, answer, answer);

        var letter = (await world.App.EventsAsync("letters", mark))[0];

        Assert.Equal((string?)world.App.Seen(request => request.Path == "/on/dead" && request.Body.Contains(mark, StringComparison.Ordinal))[0].Json["id"], (string?)letter.Json["id"]);
    }

    [Fact]
    public async Task An_event_for_a_missing_route_goes_to_the_dead_letter_topic()
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync("dead-lost", mark);

        await world.App.EventsAsync("letters", mark);
    }

    [Fact]
    public async Task An_event_that_no_rule_matches_goes_to_the_dead_letter_topic()
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync("strict", mark);

        await world.App.EventsAsync("letters", mark);

        Assert.Equal(0, world.App.EventCount("strict", mark));
    }

    [Theory]
    [InlineData("ruled", "widget", "", "widgets")]
    [InlineData("ruled", "gadget.blue", "", "gadgets")]
    [InlineData("ruled", "other", "south", "poles")]
    [InlineData("ruled", "widget", "north", "widgets")]
    [InlineData("ruled", "other", "east", "others")]
    [InlineData("strict", "widget", "", "strict")]
    [InlineData("declared", "special", "", "special")]
    [InlineData("declared", "usual", "", "declared")]
    public async Task The_first_rule_that_matches_chooses_the_route(string topic, string type, string source, string route)
    {
        var mark = EnvelopeTests.NewMark();
        var query = $"?metadata.cloudevent.type={type}" + (source.Length > 0 ? $"&metadata.cloudevent.source={source}" : "");

        (await Dapr.PostAsync($"/v1.0/publish/pubsub/{topic}{query}", $"\"{mark}\"")).Is(204);

        await world.App.EventsAsync(route, mark);
        Assert.Equal(["/on/" + route], world.App.Seen(request => request.Body.Contains(mark, StringComparison.Ordinal)).Select(request => request.Path).Distinct());
    }

    [Fact]
    public async Task The_apps_own_subscription_wins_over_the_declared_one()
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync("both", mark);

        await world.App.EventsAsync("both", mark);

        Assert.Equal(0, world.App.EventCount("never", mark));
    }

    [Fact]
    public async Task A_topic_may_have_slashes()
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync("plain/nested", mark);

        Assert.Equal("plain/nested", (string?)(await world.App.EventsAsync("nested", mark))[0].Json["topic"]);
    }

    [Fact]
    public async Task An_expired_event_is_not_delivered()
    {
        var (mark, later) = (EnvelopeTests.NewMark(), EnvelopeTests.NewMark());
        (await Dapr.PostAsync("/v1.0/publish/pubsub/plain",
            $$"""{"specversion":"1.0","id":"{{mark}}","type":"t","source":"s","expiration":"2020-01-01T00:00:00Z","data":1}""", "application/cloudevents+json")).Is(204);
        await PublishAsync("plain", later, "RETRY");

        await world.App.EventsAsync("plain", later, 2);

        Assert.Equal(0, world.App.EventCount("plain", mark));
    }

    [Fact]
    public async Task A_topic_outside_the_subscription_scope_is_not_heard()
    {
        var (mark, later) = (EnvelopeTests.NewMark(), EnvelopeTests.NewMark());
        (await Dapr.PostAsync("/v1.0/publish/scoped/deaf", $"\"{mark}\"")).Is(204);
        (await Dapr.PostAsync("/v1.0/publish/scoped/allowed", $"\"{later}\"")).Is(204);

        await world.App.EventsAsync("allowed", later);

        Assert.Equal(0, world.App.EventCount("deaf", mark));
    }

    private async Task PublishAsync(string topic, string mark, params string[] answers) => (await Dapr.PostAsync($"/v1.0/publish/pubsub/{topic}",
        $$"""{"mark":"{{mark}}","answers":[{{string.Join(",", answers.Select(answer => $"\"{answer}\""))}}]}""")).Is(204);
}
