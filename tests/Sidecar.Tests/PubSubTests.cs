using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dapr;
using Dapr.Client;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace RenderTrust.Sidecar.Tests;

/// <summary>What every broker must do, from a publisher to a subscriber in another app.</summary>
public abstract class PubSubContract : IAsyncLifetime
{
    private readonly ConcurrentQueue<Delivered> delivered = new();
    private readonly string topic = $"t-{Guid.CreateVersion7():N}";
    private HostedTestApp app = null!;
    private DaprClient dapr = null!;

    /// <summary>How the app answers a route; by default with success.</summary>
    private readonly ConcurrentDictionary<string, Func<int, HttpContext, Task>> answers = new();

    internal SidecarRig Rig { get; } = new();

    internal RigApp Publisher { get; private set; } = null!;

    internal RigApp Subscriber { get; private set; } = null!;

    protected string Topic => topic;

    protected abstract void AddBroker(string name, string settings = "");

    public virtual async ValueTask InitializeAsync()
    {
        Publisher = Rig.AddApp("publisher", withPort: false);
        Subscriber = Rig.AddApp("subscriber");
        AddBroker("pubsub");
        Rig.Resource("declared", $$"""
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: declared}
            spec:
              pubsubname: pubsub
              topic: {{topic}}-declared
              routes:
                rules:
                  - {match: 'event.type == "special" && has(event.data.size)', path: /special}
                default: /declared
            scopes: [subscriber]
            ---
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: overridden}
            spec: {pubsubname: pubsub, topic: {{topic}}, routes: {default: /never} }
            """);
        app = await HostedTestApp.StartAsync(Subscriber.AppPort, web =>
        {
            web.MapGet("/dapr/subscribe", () => new object[]
            {
                new { pubsubname = "pubsub", topic, route = "/plain" },
                new { pubsubName = "pubsub", topic = topic + "-raw", route = "raw", metadata = new { rawPayload = "true" } },
                new { pubsubname = "pubsub", topic = topic + "-dead", route = "/fails", deadLetterTopic = topic + "-letters" },
                new { pubsubname = "pubsub", topic = topic + "-letters", route = "/letters" },
                new { pubsubname = "pubsub", topic = topic + "-drop", route = "/drops" },
                new { pubsubname = "pubsub", topic = topic + "-nowhere", route = "/does-not-exist" },
            });
            foreach (var route in new[] { "plain", "raw", "fails", "letters", "drops", "declared", "special", "never" })
            {
                web.MapPost("/" + route, async context =>
                {
                    using var reader = new StreamReader(context.Request.Body);
                    var body = await reader.ReadToEndAsync();
                    delivered.Enqueue(new Delivered(route, JsonNode.Parse(body)!.AsObject(), context.Request.Headers.ToDictionary(h => h.Key.ToLowerInvariant(), h => h.Value.ToString())));
                    var count = delivered.Count(d => d.Route == route);
                    await answers.GetValueOrDefault(route, static (_, _) => Task.CompletedTask)(count, context);
                });
            }
        });
        await Rig.StartAsync();
        dapr = new DaprClientBuilder().UseHttpEndpoint(Publisher.Http).UseGrpcEndpoint(Publisher.Grpc).Build();
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        dapr?.Dispose();
        await Rig.DisposeAsync();
        if (app is not null)
        {
            await app.DisposeAsync();
        }
    }

    [Fact]
    public async Task An_event_arrives_in_another_app_in_daprds_envelope()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{Publisher.Http}/v1.0/publish/pubsub/{topic}?metadata.cloudevent.subject=s1") { Content = Json("""{"n":1}""") };
        request.Headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        using var response = await Rig.Client.SendAsync(request, Token);
        var got = (await ArrivedAsync("plain", 1))[0];

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal("application/cloudevents+json", got.Headers["content-type"]);
        Assert.Equal("token-of-the-apps", got.Headers["dapr-api-token"]);
        Assert.Equal("1.0", (string?)got.Event["specversion"]);
        Assert.Equal("com.dapr.event.sent", (string?)got.Event["type"]);
        Assert.Equal("publisher", (string?)got.Event["source"]);
        Assert.Equal("s1", (string?)got.Event["subject"]);
        Assert.Equal(topic, (string?)got.Event["topic"]);
        Assert.Equal("pubsub", (string?)got.Event["pubsubname"]);
        Assert.Equal("application/json", CloudMedia((string?)got.Event["datacontenttype"]));
        Assert.Equal("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", (string?)got.Event["traceparent"]);
        Assert.Equal(got.Event["traceparent"]!.ToString(), (string?)got.Event["traceid"]);
        Assert.True(Guid.TryParse((string?)got.Event["id"], out _));
        Assert.True(DateTimeOffset.TryParse((string?)got.Event["time"], out _));
        Assert.Equal(1, (int)got.Event["data"]!["n"]!);
    }

    [Fact]
    public async Task The_clients_publish_the_same_over_grpc()
    {
        await dapr.PublishEventAsync("pubsub", topic, new { n = 2 }, Token);
        await dapr.PublishByteEventAsync("pubsub", topic, new byte[] { 1, 2 }, "application/octet-stream", cancellationToken: Token);
        await dapr.PublishByteEventAsync("pubsub", topic, "text"u8.ToArray(), "text/plain", cancellationToken: Token);
        var got = await ArrivedAsync("plain", 3);

        Assert.Contains(got, d => (int?)d.Event["data"]?.AsObject2()?["n"] == 2);
        Assert.Contains(got, d => (string?)d.Event["data_base64"] == "AQI=");
        Assert.Contains(got, d => d.Event["data"]?.GetValueKind() == JsonValueKind.String && (string?)d.Event["data"] == "text");
    }

    [Fact]
    public async Task A_cloud_event_passes_through_with_topic_and_broker_set()
    {
        using var content = new StringContent("""{"specversion":"1.0","id":"e-1","type":"own","source":"me","topic":"lies","data":"x"}""", Encoding.UTF8, "application/cloudevents+json");
        using var response = await Rig.Client.PostAsync($"{Publisher.Http}/v1.0/publish/pubsub/{topic}", content, Token);
        var got = (await ArrivedAsync("plain", 1))[0];

        Assert.Equal(("e-1", "own", "me", topic, "pubsub"), ((string?)got.Event["id"], (string?)got.Event["type"], (string?)got.Event["source"], (string?)got.Event["topic"], (string?)got.Event["pubsubname"]));
        Assert.NotNull(got.Event["time"]);
    }

    [Fact]
    public async Task A_raw_message_is_wrapped_at_delivery_only()
    {
        await dapr.PublishByteEventAsync("pubsub", topic + "-raw", "not json"u8.ToArray(), "text/plain", new Dictionary<string, string> { ["rawPayload"] = "true" }, Token);
        var got = (await ArrivedAsync("raw", 1))[0];

        Assert.Equal(Convert.ToBase64String("not json"u8), (string?)got.Event["data_base64"]);
    }

    [Fact]
    public async Task Rules_choose_the_route_and_the_apps_own_subscription_wins()
    {
        await dapr.PublishEventAsync("pubsub", topic + "-declared", new { size = 1 }, new Dictionary<string, string> { ["cloudevent.type"] = "special" }, Token);
        await dapr.PublishEventAsync("pubsub", topic + "-declared", new { other = 1 }, new Dictionary<string, string> { ["cloudevent.type"] = "special" }, Token);
        await dapr.PublishEventAsync("pubsub", topic, 1, Token);

        await ArrivedAsync("special", 1);
        await ArrivedAsync("declared", 1);
        await ArrivedAsync("plain", 1);
        Assert.DoesNotContain(delivered, d => d.Route == "never");
    }

    [Theory]
    [InlineData("retry")]
    [InlineData("error")]
    public async Task A_message_that_the_app_could_not_take_comes_again(string how)
    {
        answers["plain"] = async (count, context) =>
        {
            if (count < 3)
            {
                context.Response.StatusCode = how == "error" ? 500 : 200;
                await context.Response.WriteAsync("""{"status":"RETRY"}""");
            }
        };
        await dapr.PublishEventAsync("pubsub", topic, "again", Token);
        var got = await ArrivedAsync("plain", 3);

        Assert.Single(got.Select(d => (string?)d.Event["id"]).Distinct());
    }

    [Fact]
    public async Task A_failed_message_goes_to_the_dead_letter_topic()
    {
        answers["fails"] = static (_, context) =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        };
        await dapr.PublishEventAsync("pubsub", topic + "-dead", "poison", Token);
        var letter = (await ArrivedAsync("letters", 1))[0];

        Assert.Equal("poison", (string?)letter.Event["data"]);
        Assert.Single(delivered, d => d.Route == "fails");
    }

    [Fact]
    public async Task Dropped_and_unroutable_messages_do_not_come_again()
    {
        answers["drops"] = static (_, context) => context.Response.WriteAsync("""{"status":"DROP"}""");
        await dapr.PublishEventAsync("pubsub", topic + "-drop", 1, Token);
        await dapr.PublishEventAsync("pubsub", topic + "-nowhere", 1, Token);
        await ArrivedAsync("drops", 1);

        // A later message of the same subscription has arrived, so a redelivery of the first would have had its chance.
        await dapr.PublishEventAsync("pubsub", topic + "-drop", 2, Token);
        await ArrivedAsync("drops", 2);
        Assert.Equal(2, delivered.Count(d => d.Route == "drops"));
    }

    [Fact]
    public async Task Many_are_published_at_once_and_each_arrives()
    {
        var answer = await dapr.BulkPublishEventAsync("pubsub", topic, new[] { 1, 2, 3 }, cancellationToken: Token);
        using var http = await Rig.Client.PostAsync($"{Publisher.Http}/v1.0/publish/bulk/pubsub/{topic}", Json(
            """[{"entryId":"a","event":{"n":4},"contentType":"application/json"},{"entryId":"b","event":"five","contentType":"text/plain"}]"""), Token);
        var got = await ArrivedAsync("plain", 5);

        Assert.Empty(answer.FailedEntries);
        Assert.Equal(HttpStatusCode.NoContent, http.StatusCode);
        Assert.Equal(["1", "2", "3", "five", """{"n":4}"""], got.Select(d => d.Event["data"]!.ToJsonString().Trim('"')).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task An_expired_message_is_not_delivered()
    {
        using var content = new StringContent(
            """{"specversion":"1.0","id":"old","type":"t","source":"s","expiration":"2020-01-01T00:00:00Z","data":1}""", Encoding.UTF8, "application/cloudevents+json");
        using var response = await Rig.Client.PostAsync($"{Publisher.Http}/v1.0/publish/pubsub/{topic}", content, Token);
        await dapr.PublishEventAsync("pubsub", topic, "fresh", Token);
        var got = await ArrivedAsync("plain", 1);

        Assert.Equal("fresh", (string?)got[0].Event["data"]);
    }

    [Fact]
    public async Task Refusals_are_daprds()
    {
        using var unknown = await Rig.Client.PostAsync($"{Publisher.Http}/v1.0/publish/nowhere/{topic}", Json("1"), Token);
        await StateContract.AssertErrorAsync(unknown, 404, "ERR_PUBSUB_NOT_FOUND");
        using var empty = await Rig.Client.PostAsync($"{Publisher.Http}/v1.0/publish/pubsub/", Json("1"), Token);
        await StateContract.AssertErrorAsync(empty, 404, "ERR_TOPIC_NAME_EMPTY");
        using var broken = new StringContent("{", Encoding.UTF8, "application/cloudevents+json");
        using var malformed = await Rig.Client.PostAsync($"{Publisher.Http}/v1.0/publish/pubsub/{topic}", broken, Token);
        await StateContract.AssertErrorAsync(malformed, 400, "ERR_PUBSUB_CLOUD_EVENTS_SER");
        var failure = await Assert.ThrowsAsync<DaprException>(() => dapr.PublishEventAsync("nowhere", topic, 1, Token));
        Assert.Equal(StatusCode.InvalidArgument, ((RpcException)failure.InnerException!).StatusCode);
    }

    [Fact]
    public async Task Subscriptions_show_in_the_metadata()
    {
        using var json = JsonDocument.Parse(await Rig.Client.GetStringAsync($"{Subscriber.Http}/v1.0/metadata", Token));
        var topics = json.RootElement.GetProperty("subscriptions").EnumerateArray().Select(s => s.GetProperty("topic").GetString()).ToList();

        Assert.Contains(topic, topics);
        Assert.Contains(topic + "-declared", topics);
        Assert.Single(topics, t => t == topic);
    }

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected DaprClient Dapr => dapr;

    private protected ConcurrentDictionary<string, Func<int, HttpContext, Task>> Answers => answers;

    private protected async Task<List<Delivered>> ArrivedAsync(string route, int count)
    {
        await Wait.UntilAsync($"{count} messages arrive at {route}", () => delivered.Count(d => d.Route == route) >= count,
            () => string.Join(" ", delivered.Select(d => d.Route)));
        return [.. delivered.Where(d => d.Route == route)];
    }

    private static string CloudMedia(string? contentType) => PubSub.CloudEvent.MediaType(contentType ?? "");

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private protected sealed record Delivered(string Route, JsonObject Event, Dictionary<string, string> Headers);
}

internal static class JsonNodeExtensions
{
    public static JsonObject? AsObject2(this JsonNode node) => node as JsonObject;
}

public sealed class InMemoryPubSubTests : PubSubContract
{
    protected override void AddBroker(string name, string settings = "") => Rig.Component(name, "pubsub.in-memory", metadata: settings);
}

public sealed class RedisPubSubTests(RedisServer redis) : PubSubContract
{
    protected override void AddBroker(string name, string settings = "") => Rig.Component(name, "pubsub.redis", metadata:
        string.Join(", ", SidecarRig.Setting("redisHost", redis.Host), SidecarRig.Setting("processingTimeout", "300ms"), SidecarRig.Setting("redeliverInterval", "100ms")));

    [Fact]
    public async Task The_stream_holds_the_envelope_in_field_data_and_the_group_is_the_app_id()
    {
        await Dapr.PublishEventAsync("pubsub", Topic, "seen", Token);
        await ArrivedAsync("plain", 1);
        await using var connection = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(redis.Host);
        var entry = (await connection.GetDatabase().StreamRangeAsync(Topic))[0];
        var groups = await connection.GetDatabase().StreamGroupInfoAsync(Topic);

        Assert.Equal("data", entry.Values[0].Name);
        Assert.Equal("seen", (string?)JsonNode.Parse((string)entry.Values[0].Value!)!["data"]);
        Assert.Equal(["subscriber"], groups.Select(group => group.Name));
        await Wait.UntilAsync("the message is acknowledged", async () => (await connection.GetDatabase().StreamGroupInfoAsync(Topic))[0].PendingMessageCount == 0);
    }

    [Fact]
    public async Task What_was_published_while_the_host_was_away_arrives_when_it_is_back()
    {
        await Dapr.PublishEventAsync("pubsub", Topic, "before", Token);
        await ArrivedAsync("plain", 1);
        await Rig.StopAsync();
        await using (var connection = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(redis.Host))
        {
            await connection.GetDatabase().StreamAddAsync(Topic, "data", """{"specversion":"1.0","id":"away","type":"t","source":"s","data":"away"}""");
        }

        await Rig.StartAsync();
        var got = await ArrivedAsync("plain", 2);

        Assert.Equal(["before", "away"], got.Select(d => (string?)d.Event["data"]));
    }

    [Fact]
    public async Task A_message_under_way_when_the_app_died_is_delivered_again()
    {
        Answers["plain"] = static async (count, context) =>
        {
            if (count == 1)
            {
                context.Abort();
                await Task.CompletedTask;
            }
        };
        await Dapr.PublishEventAsync("pubsub", Topic, "survives", Token);
        var got = await ArrivedAsync("plain", 2);

        Assert.All(got, d => Assert.Equal("survives", (string?)d.Event["data"]));
    }
}

/// <summary>A consumer of its own for every host, and scopes on topics.</summary>
public sealed class PubSubComponentTests(RedisServer redis) : IAsyncDisposable
{
    private readonly SidecarRig rig = new();

    [Fact]
    public async Task With_a_uuid_as_consumer_every_app_hears_everything_and_leaves_nothing_behind()
    {
        var topic = $"b-{Guid.CreateVersion7():N}";
        rig.Component("broadcast", "pubsub.redis", metadata: $"{SidecarRig.Setting("redisHost", redis.Host)}, {SidecarRig.Setting("consumerID", "{uuid}")}");
        var heard = new ConcurrentQueue<string>();
        var first = rig.AddApp("first");
        var second = rig.AddApp("second");
        await using var one = await ListenAsync(first, topic, heard);
        await using var two = await ListenAsync(second, topic, heard);
        await rig.StartAsync();
        using var dapr = new DaprClientBuilder().UseHttpEndpoint(first.Http).UseGrpcEndpoint(first.Grpc).Build();
        await dapr.PublishEventAsync("broadcast", topic, "to all", TestContext.Current.CancellationToken);
        await Wait.UntilAsync("both apps hear it", () => heard.Order().SequenceEqual(["first", "second"]), () => string.Join(",", heard));
        await rig.StopAsync();
        await using var connection = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(redis.Host);

        Assert.Empty(await connection.GetDatabase().StreamGroupInfoAsync(topic));
    }

    [Fact]
    public async Task Delivery_goes_on_after_the_broker_has_lost_everything()
    {
        Assert.NotEmpty(redis.Host);
        await using var own = new RedisServer();
        await own.InitializeAsync();
        rig.Component("broadcast", "pubsub.redis", metadata: SidecarRig.Setting("redisHost", own.Host));
        var heard = new ConcurrentQueue<string>();
        var app = rig.AddApp("app");
        await using var web = await ListenAsync(app, "t", heard);
        await rig.StartAsync();
        var publish = $"{app.Http}/v1.0/publish/broadcast/t";
        using (var before = await rig.Client.PostAsJsonAsync(publish, 1, TestContext.Current.CancellationToken))
        {
            Assert.Equal(HttpStatusCode.NoContent, before.StatusCode);
        }

        await Wait.UntilAsync("it arrives", () => heard.Count == 1);
        await own.StopAsync();
        using (var during = await rig.Client.PostAsJsonAsync(publish, 2, TestContext.Current.CancellationToken))
        {
            await StateContract.AssertErrorAsync(during, 500, "ERR_PUBSUB_PUBLISH_MESSAGE");
        }

        await own.StartAsync();
        await Wait.UntilAsync("publishing works again", async () =>
        {
            using var after = await rig.Client.PostAsJsonAsync(publish, 3, TestContext.Current.CancellationToken);
            return after.StatusCode == HttpStatusCode.NoContent;
        });
        await Wait.UntilAsync("it arrives again", () => heard.Count >= 2);
    }

    [Fact]
    public async Task A_topic_outside_an_apps_scope_is_forbidden()
    {
        rig.Component("pubsub", "pubsub.in-memory", metadata: $"{SidecarRig.Setting("publishingScopes", "one=allowed;two=")}, {SidecarRig.Setting("protectedTopics", "guarded")}");
        var one = rig.AddApp("one", withPort: false);
        var two = rig.AddApp("two", withPort: false);
        var free = rig.AddApp("free", withPort: false);
        await rig.StartAsync();

        Assert.Equal(HttpStatusCode.NoContent, await PublishAsync(one, "allowed"));
        Assert.Equal(HttpStatusCode.Forbidden, await PublishAsync(one, "other"));
        Assert.Equal(HttpStatusCode.Forbidden, await PublishAsync(two, "allowed"));
        Assert.Equal(HttpStatusCode.NoContent, await PublishAsync(free, "other"));
        Assert.Equal(HttpStatusCode.Forbidden, await PublishAsync(free, "guarded"));
    }

    [Fact]
    public async Task The_dotnet_subscriber_receives_typed_events()
    {
        rig.Component("pubsub", "pubsub.in-memory");
        var heard = new ConcurrentQueue<string>();
        var target = rig.AddApp("sdk");
        await using var app = await HostedTestApp.StartAsync(target.AppPort,
            web =>
            {
                web.MapSubscribeHandler();
                web.MapPost("/typed", (Named named) => heard.Enqueue(named.Name)).WithTopic("pubsub", "names");
            },
            services => services.AddControllers().AddDapr(),
            web => web.UseCloudEvents());
        await rig.StartAsync();
        using var dapr = new DaprClientBuilder().UseHttpEndpoint(target.Http).UseGrpcEndpoint(target.Grpc).Build();
        await dapr.PublishEventAsync("pubsub", "names", new Named("Ada"), TestContext.Current.CancellationToken);

        await Wait.UntilAsync("the typed event arrives", () => heard.Contains("Ada"));
    }

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    private static Task<HostedTestApp> ListenAsync(RigApp app, string topic, ConcurrentQueue<string> heard) => HostedTestApp.StartAsync(app.AppPort, web =>
    {
        web.MapGet("/dapr/subscribe", () => new[] { new { pubsubname = "broadcast", topic, route = "/on" } });
        web.MapPost("/on", () => heard.Enqueue(app.Id));
    });

    private async Task<HttpStatusCode> PublishAsync(RigApp app, string topic)
    {
        using var response = await rig.Client.PostAsJsonAsync($"{app.Http}/v1.0/publish/pubsub/{topic}", 1, TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    private sealed record Named(string Name);
}
