using System.Text.Json.Nodes;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.PubSub;

/// <summary>Subscriptions with <c>bulkSubscribe</c>: several events in one call, a verdict for each.</summary>
public sealed class BulkDeliveryTests(World world)
{
    [Fact]
    public async Task A_call_holds_entries_with_ids_and_whole_events()
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync(mark);

        var call = (await CallsAsync(mark, 1))[0];

        Assert.StartsWith("application/json", call.Header("Content-Type"), StringComparison.Ordinal);
        Assert.Equal(("com.dapr.event.sent.bulk", "bulk", "pubsub"), ((string?)call.Json["type"], (string?)call.Json["topic"], (string?)call.Json["pubsubname"]));
        var entry = Entry(call, mark);
        Assert.NotEmpty((string?)entry["entryId"] ?? "");
        Assert.Equal("com.dapr.event.sent", (string?)entry["event"]!["type"]);
    }

    [Theory]
    [InlineData("RETRY")]
    [InlineData("absent")]
    public async Task After_this_verdict_the_event_comes_again(string verdict)
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync(mark, verdict);

        await CallsAsync(mark, 2);
    }

    [Theory]
    [InlineData("SUCCESS")]
    [InlineData("DROP")]
    public async Task This_verdict_ends_the_delivery(string verdict)
    {
        var mark = EnvelopeTests.NewMark();
        await PublishAsync(mark, [.. Enumerable.Repeat(verdict, 30)]);
        await CallsAsync(mark, 1);

        await Rounds.AssertAtRestAsync(world, () => world.App.Seen(request => IsCall(request, mark)).Count);
    }

    private static bool IsCall(Recorded request, string mark) => request.Path == "/bulk" && request.Body.Contains(mark, StringComparison.Ordinal);

    private static JsonNode Entry(Recorded call, string mark) =>
        call.Json["entries"]!.AsArray().Single(entry => entry!.ToJsonString().Contains(mark, StringComparison.Ordinal))!;

    private Task<IReadOnlyList<Recorded>> CallsAsync(string mark, int count) => world.App.ArrivedAsync($"a bulk with {mark}", count, request => IsCall(request, mark));

    private async Task PublishAsync(string mark, params string[] answers) => (await world.Main.PostAsync("/v1.0/publish/pubsub/bulk",
        $$"""{"mark":"{{mark}}","answers":[{{string.Join(",", answers.Select(answer => $"\"{answer}\""))}}]}""")).Is(204);
}
