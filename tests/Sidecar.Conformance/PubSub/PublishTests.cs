using Google.Protobuf;
using Grpc.Core;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.PubSub;

/// <summary>The calls that publish: HTTP, gRPC, SDK; one event or many; and what they refuse.</summary>
public sealed class PublishTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Put_publishes_as_well()
    {
        var mark = EnvelopeTests.NewMark();
        (await Dapr.PutAsync("/v1.0/publish/pubsub/plain", $"\"{mark}\"")).Is(204);

        await world.App.EventsAsync("plain", mark);
    }

    [Theory]
    [InlineData("v1.0")]
    [InlineData("v1.0-alpha1")]
    public async Task Many_events_are_published_by_one_call(string version)
    {
        var mark = EnvelopeTests.NewMark();
        (await Dapr.PostAsync($"/{version}/publish/bulk/pubsub/plain", $$$"""
            [{"entryId":"1","event":{"mark":"{{{mark}}}-a"},"contentType":"application/json"},
             {"entryId":"2","event":"{{{mark}}}-b","contentType":"text/plain","metadata":{"cloudevent.type":"second"}}]
            """)).Is(204);

        var events = await world.App.EventsAsync("plain", mark, 2);

        Assert.Equal("com.dapr.event.sent", (string?)events.Single(e => e.Body.Contains(mark + "-a", StringComparison.Ordinal)).Json["type"]);
        Assert.Equal($"{mark}-b", (string?)events.Single(e => e.Body.Contains(mark + "-b", StringComparison.Ordinal)).Json["data"]);
    }

    [Fact]
    public async Task Names_in_a_body_may_be_written_in_any_case()
    {
        var mark = EnvelopeTests.NewMark();
        (await Dapr.PostAsync("/v1.0/publish/bulk/pubsub/plain", $$"""[{"entryID":"1","Event":"{{mark}}","contenttype":"text/plain"}]""")).Is(204);

        await world.App.EventsAsync("plain", mark);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[")]
    [InlineData("""[{"entryId":"1","event":1,"contentType":"application/json"},{"entryId":"1","event":2,"contentType":"application/json"}]""")]
    [InlineData("""[{"event":1,"contentType":"application/json"}]""")]
    public async Task A_bulk_of_this_form_is_a_400(string body) => (await Dapr.PostAsync("/v1.0/publish/bulk/pubsub/plain", body)).Is(400);

    [Theory]
    [InlineData("/v1.0/publish/nowhere/plain")]
    [InlineData("/v1.0/publish/bulk/nowhere/plain")]
    public async Task An_unknown_pubsub_is_a_404(string path) =>
        (await Dapr.PostAsync(path, """[{"entryId":"1","event":1,"contentType":"application/json"}]""")).IsError(404, "ERR_PUBSUB_NOT_FOUND");

    [Theory]
    [InlineData("scoped", "allowed", 204)]
    [InlineData("scoped", "other", 403)]
    [InlineData("protected", "vault", 403)]
    [InlineData("protected", "hall", 204)]
    public async Task Scopes_decide_who_may_publish_what(string pubsub, string topic, int status)
    {
        var answer = await Dapr.PostAsync($"/v1.0/publish/{pubsub}/{topic}", "1");

        if (status == 403)
        {
            answer.IsError(403, "ERR_PUBSUB_FORBIDDEN");
        }

        answer.Is(status);
    }

    [Fact]
    public async Task A_cloud_event_that_is_no_json_is_refused() =>
        Assert.InRange((await Dapr.PostAsync("/v1.0/publish/pubsub/plain", "{", "application/cloudevents+json")).Status, 400, 500);

    [Theory]
    [InlineData("", "text/plain")]
    [InlineData("application/json", "application/json")]
    public async Task The_rpc_publishes_with_this_content_type(string given, string seen)
    {
        var mark = EnvelopeTests.NewMark();
        await Dapr.Rpc.PublishEventAsync(new Rpc.PublishEventRequest { PubsubName = "pubsub", Topic = "plain", Data = ByteString.CopyFromUtf8($"\"{mark}\""), DataContentType = given });

        Assert.Equal(seen, (string?)(await world.App.EventsAsync("plain", mark))[0].Json["datacontenttype"]);
    }

    [Fact]
    public async Task The_rpc_takes_metadata()
    {
        var mark = EnvelopeTests.NewMark();
        var request = new Rpc.PublishEventRequest { PubsubName = "pubsub", Topic = "plain", Data = ByteString.CopyFromUtf8("1"), DataContentType = "application/json" };
        request.Metadata["cloudevent.id"] = mark;
        await Dapr.Rpc.PublishEventAsync(request);

        Assert.Equal(mark, (string?)(await world.App.EventsAsync("plain", mark))[0].Json["id"]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_bulk_rpc_publishes_each_entry(bool alpha)
    {
        var mark = EnvelopeTests.NewMark();
        var request = new Rpc.BulkPublishRequest { PubsubName = "pubsub", Topic = "plain" };
        request.Entries.Add(new Rpc.BulkPublishRequestEntry { EntryId = "0", ContentType = "text/plain", Event = ByteString.CopyFromUtf8(mark + "-a") });
        request.Entries.Add(new Rpc.BulkPublishRequestEntry { EntryId = "1", ContentType = "application/json", Event = ByteString.CopyFromUtf8($"\"{mark}-b\"") });

#pragma warning disable CS0612 // Older SDKs call the alpha form.
        var answer = alpha ? await Dapr.Rpc.BulkPublishEventAlpha1Async(request) : await Dapr.Rpc.BulkPublishEventAsync(request);
#pragma warning restore CS0612

        Assert.Empty(answer.FailedEntries);
        await world.App.EventsAsync("plain", mark, 2);
    }

    [Fact]
    public async Task The_rpcs_refuse_as_http_does()
    {
        await Refusal.HasStatusAsync(StatusCode.InvalidArgument, Dapr.Rpc.PublishEventAsync(new Rpc.PublishEventRequest { PubsubName = "nowhere", Topic = "plain" }));
        await Refusal.HasStatusAsync(StatusCode.PermissionDenied, Dapr.Rpc.PublishEventAsync(new Rpc.PublishEventRequest { PubsubName = "scoped", Topic = "other" }));
    }

    [Fact]
    public async Task The_sdk_publishes_values_bytes_and_many()
    {
        var mark = EnvelopeTests.NewMark();
        await Dapr.Sdk.PublishEventAsync("pubsub", "plain", new { mark }, Token);
        await Dapr.Sdk.PublishByteEventAsync("pubsub", "plain", System.Text.Encoding.UTF8.GetBytes(mark), "text/plain", cancellationToken: Token);
        var bulk = await Dapr.Sdk.BulkPublishEventAsync("pubsub", "plain", new[] { mark, mark }, cancellationToken: Token);

        Assert.Empty(bulk.FailedEntries);
        await world.App.EventsAsync("plain", mark, 4);
    }

    [Fact]
    public async Task The_sdks_subscriber_gets_typed_events_from_another_app()
    {
        var mark = EnvelopeTests.NewMark();
        await Dapr.Sdk.PublishEventAsync("pubsub", "headlines", new Headline(mark), Token);

        await SdkApp.UntilAsync($"headline {mark}");
    }
}
