using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.PubSub;

/// <summary>What becomes of an event on its way: the CloudEvent that the subscriber gets, key by key.</summary>
public sealed class EnvelopeTests(World world)
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";

    private DaprSidecar Dapr => world.Main;

    [Theory]
    [InlineData("specversion", "1.0")]
    [InlineData("type", "com.dapr.event.sent")]
    [InlineData("source", "conformance")]
    [InlineData("topic", "plain")]
    [InlineData("pubsubname", "pubsub")]
    [InlineData("datacontenttype", "application/json")]
    public async Task The_envelope_has_this_key_with_this_value(string key, string value) =>
        Assert.Equal(value, (string?)(await PublishAsync())[key]);

    [Fact]
    public async Task The_envelope_has_an_id_and_a_time_of_its_own()
    {
        var (one, two) = (await PublishAsync(), await PublishAsync());

        Assert.True(Guid.TryParse((string?)one["id"], out _));
        Assert.NotEqual((string?)one["id"], (string?)two["id"]);
        Assert.InRange(DateTimeOffset.Parse((string)one["time"]!), DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddMinutes(1));
    }

    [Fact]
    public async Task The_publishers_trace_goes_along()
    {
        var envelope = await PublishAsync(headers: [("traceparent", $"00-{Trace}-b7ad6b7169203331-01")]);

        Assert.Equal(Trace, ((string?)envelope["traceparent"])?.Split('-')[1]);
        Assert.Equal((string?)envelope["traceparent"], (string?)envelope["traceid"]);
    }

    [Theory]
    [InlineData("id", "my-id")]
    [InlineData("source", "my-source")]
    [InlineData("type", "my-type")]
    [InlineData("subject", "my-subject")]
    [InlineData("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    [InlineData("tracestate", "vendor=1")]
    public async Task Metadata_of_the_call_sets_this_key(string key, string value) =>
        Assert.Equal(value, (string?)(await PublishAsync(query: $"?metadata.cloudevent.{key}={Uri.EscapeDataString(value)}"))[key]);

    [Theory]
    [InlineData("application/json", """{"n":1,"mark":"M"}""", """{"n":1,"mark":"M"}""")]
    [InlineData("application/json; charset=utf-8", """["M"]""", """["M"]""")]
    [InlineData("text/plain", "M", "\"M\"")]
    [InlineData("application/xml", "<a>M</a>", "\"<a>M</a>\"")]
    public async Task Data_is_kept_as_its_content_type_says(string contentType, string body, string data)
    {
        var mark = NewMark();

        var envelope = await PublishAsync(body.Replace("M", mark, StringComparison.Ordinal), contentType, mark: mark);

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(data.Replace("M", mark, StringComparison.Ordinal)), envelope["data"]), envelope.ToJsonString());
        Assert.Equal(contentType, (string?)envelope["datacontenttype"]);
    }

    [Fact]
    public async Task Without_a_content_type_data_is_text()
    {
        var envelope = await PublishAsync(NewMark(), contentType: null);

        Assert.StartsWith("text/plain", (string?)envelope["datacontenttype"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Binary_data_travels_as_base64()
    {
        var mark = NewMark();
        (await Dapr.SendAsync("POST", $"/v1.0/publish/pubsub/plain?metadata.cloudevent.subject={mark}", [0, 255], "application/octet-stream")).Is(204);

        var envelope = (await world.App.EventsAsync("plain", mark))[0].Json;

        Assert.Equal("AP8=", (string?)envelope["data_base64"]);
        Assert.Null(envelope["data"]);
    }

    [Theory]
    [InlineData("id", "given-id")]
    [InlineData("type", "given-type")]
    [InlineData("source", "given-source")]
    [InlineData("extension", "kept")]
    [InlineData("topic", "plain")]
    [InlineData("pubsubname", "pubsub")]
    public async Task A_cloud_event_passes_with_topic_and_pubsub_overwritten(string key, string value)
    {
        var envelope = await PublishAsync($$"""
            {"specversion":"1.0","id":"given-id","type":"given-type","source":"given-source","extension":"kept","topic":"lies","pubsubname":"lies","data":"{{NewMark()}}"}
            """, "application/cloudevents+json");

        Assert.Equal(value, (string?)envelope[key]);
    }

    [Theory]
    [InlineData("source", "conformance")]
    [InlineData("type", "com.dapr.event.sent")]
    [InlineData("specversion", "1.0")]
    public async Task A_cloud_event_without_this_key_gets_it(string key, string value) =>
        Assert.Equal(value, (string?)(await PublishAsync($$"""{"id":"{{NewMark()}}","data":1}""", "application/cloudevents+json"))[key]);

    [Fact]
    public async Task A_cloud_event_without_an_id_gets_none() =>
        Assert.Null((await PublishAsync($$"""{"specversion":"1.0","type":"t","source":"s","data":"{{NewMark()}}"}""", "application/cloudevents+json"))["id"]);

    [Fact]
    public async Task A_time_to_live_becomes_an_expiration() =>
        Assert.InRange(DateTimeOffset.Parse((string)(await PublishAsync(query: "?metadata.ttlInSeconds=3600"))["expiration"]!), DateTimeOffset.UtcNow.AddMinutes(30), DateTimeOffset.UtcNow.AddMinutes(90));

    [Fact]
    public async Task An_event_is_posted_as_a_cloud_event_with_its_trace_in_the_headers()
    {
        var mark = NewMark();
        (await Dapr.PostAsync("/v1.0/publish/pubsub/plain", $"\"{mark}\"")).Is(204);

        var delivery = (await world.App.EventsAsync("plain", mark))[0];

        Assert.Equal("POST", delivery.Method);
        Assert.StartsWith("application/cloudevents+json", delivery.Header("Content-Type"), StringComparison.Ordinal);
        Assert.Equal(((string)delivery.Json["traceparent"]!).Split('-')[1], delivery.Header("traceparent")?.Split('-')[1]);
    }

    [Fact]
    public async Task A_raw_message_is_wrapped_for_a_raw_subscriber_only_when_it_is_delivered()
    {
        var text = NewMark();
        (await Dapr.PostAsync("/v1.0/publish/pubsub/raw?metadata.rawPayload=true", text, "text/plain")).Is(204);

        var envelope = (await world.App.EventsAsync("raw", Convert.ToBase64String(Encoding.UTF8.GetBytes(text))))[0].Json;

        Assert.Equal(text, Encoding.UTF8.GetString(Convert.FromBase64String((string)envelope["data_base64"]!)));
        Assert.Equal(("raw", "pubsub"), ((string?)envelope["topic"], (string?)envelope["pubsubname"]));
    }

    [Fact]
    public async Task A_raw_cloud_event_reaches_others_untouched()
    {
        var mark = NewMark();
        var body = $$"""{"specversion":"1.0","id":"{{mark}}","type":"t","source":"s","topic":"elsewhere","data":1}""";
        (await Dapr.PostAsync("/v1.0/publish/pubsub/plain?metadata.rawPayload=true", body)).Is(204);

        var got = (await world.App.EventsAsync("plain", mark))[0];

        Assert.Equal("elsewhere", (string?)got.Json["topic"]);
    }

    internal static string NewMark() => $"m{Guid.CreateVersion7():N}";

    private async Task<JsonNode> PublishAsync(string? body = null, string? contentType = "application/json", string query = "", string? mark = null, params (string, string)[] headers)
    {
        mark ??= body is null ? NewMark() : body[body.IndexOf("m0", StringComparison.Ordinal)..][..33];
        (await Dapr.PostAsync("/v1.0/publish/pubsub/plain" + query, body ?? $$"""{"mark":"{{mark}}"}""", contentType, headers)).Is(204);
        return (await world.App.EventsAsync("plain", mark))[0].Json;
    }
}
