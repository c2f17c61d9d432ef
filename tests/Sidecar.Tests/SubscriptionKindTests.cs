using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Dapr.AppCallback.Autogen.Grpc.v1;
using Dapr.Client.Autogen.Grpc.v1;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using RenderTrust.Sidecar.Hosting;
using Stream = Grpc.Core.AsyncDuplexStreamingCall<Dapr.Client.Autogen.Grpc.v1.SubscribeTopicEventsRequestAlpha1, Dapr.Client.Autogen.Grpc.v1.SubscribeTopicEventsResponseAlpha1>;
using Verdict = Dapr.AppCallback.Autogen.Grpc.v1.TopicEventResponse.Types.TopicEventResponseStatus;

namespace RenderTrust.Sidecar.Tests;

/// <summary>Subscriptions other than one post per event: streams, bulks, and the pause of an unhealthy app.</summary>
public sealed class SubscriptionKindTests : IAsyncDisposable
{
    private readonly SidecarRig rig = new();
    private readonly ConcurrentQueue<(string Path, JsonNode Body)> posts = new();
    private HostedTestApp? app;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_stream_carries_events_down_and_verdicts_up()
    {
        rig.Component("bus", "pubsub.in-memory");
        var one = rig.AddApp("one", withPort: false);
        await rig.StartAsync();
        using var channel = GrpcChannel.ForAddress(one.Grpc);
        using var stream = await SubscribeAsync(channel, "bus", "t", deadLetter: "dead");
        using var dead = await SubscribeAsync(channel, "bus", "dead");
        using var published = await PublishAsync(one, "t", """{"n":1}""", "?metadata.cloudevent.subject=s");
        var first = await NextAsync(stream);
        await AnswerAsync(stream, first.Id, Verdict.Retry);
        var again = await NextAsync(dead);
        await AnswerAsync(dead, again.Id, Verdict.Success);
        using var second = await PublishAsync(one, "t", """{"n":2}""");
        var third = await NextAsync(stream);
        await AnswerAsync(stream, third.Id, Verdict.Success);

        Assert.Equal(("t", "bus", "one", "application/json"), (first.Topic, first.PubsubName, first.Source, first.DataContentType.Split(';')[0]));
        Assert.Equal("""{"n":1}""", first.Data.ToStringUtf8());
        Assert.Equal("s", first.Extensions.Fields["subject"].StringValue);
        Assert.Equal(("dead", first.Id), (again.Topic, again.Id));
        Assert.Equal("""{"n":2}""", third.Data.ToStringUtf8());
    }

    [Fact]
    public async Task A_stream_of_an_unknown_component_or_a_forbidden_topic_is_refused()
    {
        rig.Component("bus", "pubsub.in-memory", metadata: SidecarRig.Setting("subscriptionScopes", "one="));
        var one = rig.AddApp("one", withPort: false);
        await rig.StartAsync();
        using var channel = GrpcChannel.ForAddress(one.Grpc);
        var unknown = await Assert.ThrowsAsync<RpcException>(() => SubscribeAsync(channel, "none", "t"));
        var forbidden = await Assert.ThrowsAsync<RpcException>(() => SubscribeAsync(channel, "bus", "t"));

        Assert.Equal((StatusCode.InvalidArgument, StatusCode.PermissionDenied), (unknown.StatusCode, forbidden.StatusCode));
    }

    [Fact]
    public async Task Bulks_are_one_post_and_each_entry_has_its_own_verdict()
    {
        rig.Component("bus", "pubsub.in-memory");
        rig.Resource("subscriptions", """
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: b}
            spec:
              pubsubname: bus
              topic: t
              deadLetterTopic: dead
              routes: {default: /bulk}
              bulkSubscribe: {enabled: true, maxMessagesCount: 3, maxAwaitDurationMs: 60000}
            scopes: [sub]
            ---
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: d}
            spec: {pubsubname: bus, topic: dead, routes: {default: /dead}}
            scopes: [sub]
            """);
        var one = rig.AddApp("one", withPort: false);
        await StartAppAsync(body => body["entries"] is not JsonArray entries ? Results.Ok() : Results.Json(new
        {
            statuses = entries.Select(entry => new { entryId = (string)entry!["entryId"]!, status = (int)entry["event"]!["data"]! == 2 ? "DROP" : "SUCCESS" }),
        }));
        for (var i = 1; i <= 3; i++)
        {
            using var published = await PublishAsync(one, "t", $"{i}");
        }

        await Wait.UntilAsync("the dropped one is among the dead letters", () => posts.Any(post => post.Path == "/dead"));
        var bulk = Assert.Single(posts, post => post.Path == "/bulk").Body;

        Assert.Equal(("com.dapr.event.sent.bulk", "t", "bus"), ((string?)bulk["type"], (string?)bulk["topic"], (string?)bulk["pubsubname"]));
        Assert.Equal([1, 2, 3], bulk["entries"]!.AsArray().Select(entry => (int)entry!["event"]!["data"]!).Order());
        Assert.All(bulk["entries"]!.AsArray(), entry => Assert.Equal("application/cloudevents+json", (string?)entry!["contentType"]));
        Assert.Equal(2, (int)Assert.Single(posts, post => post.Path == "/dead").Body["data"]!);
    }

    [Theory]
    [InlineData("""{"statuses":[]}""")]
    [InlineData("""{"statuses":[{"entryId":"\ud800","status":"SUCCESS"}]}""")]
    [InlineData("""{"statuses":7}""")]
    public async Task An_entry_without_a_verdict_comes_again_and_a_bulk_that_waits_too_long_goes_as_it_is(string firstAnswer)
    {
        rig.Component("bus", "pubsub.in-memory");
        rig.Resource("subscriptions", """
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: b}
            spec: {pubsubname: bus, topic: t, routes: {default: /bulk}, bulkSubscribe: {enabled: true, maxAwaitDurationMs: 10}}
            scopes: [sub]
            """);
        var one = rig.AddApp("one", withPort: false);
        await StartAppAsync(body => posts.Count == 1
            ? Results.Text(firstAnswer, "application/json")
            : Results.Json(new { statuses = body["entries"]!.AsArray().Select(entry => new { entryId = (string)entry!["entryId"]!, status = "SUCCESS" }) }));
        using var published = await PublishAsync(one, "t", "7");
        await Wait.UntilAsync("it has come twice", () => posts.Count >= 2);

        Assert.All(posts, post => Assert.Equal(7, (int)Assert.Single(post.Body["entries"]!.AsArray())!["event"]!["data"]!));
    }

    [Fact]
    public async Task Events_wait_while_the_app_is_unhealthy()
    {
        rig.Component("bus", "pubsub.in-memory");
        rig.Resource("subscription", """
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: s}
            spec: {pubsubname: bus, topic: t, routes: {default: /events}}
            scopes: [sub]
            """);
        var one = rig.AddApp("one", withPort: false);
        var isHealthy = false;
        await StartAppAsync(_ => Results.Ok(), () => isHealthy, "    enableAppHealthCheck: true\n    appHealthProbeInterval: 1\n    appHealthProbeTimeout: 30000\n    appHealthThreshold: 1\n");
        await Wait.UntilAsync("the app is known to be unhealthy", () => rig.Host!.Apps.Find("sub")!.State.Health == AppHealth.Unhealthy);
        using var published = await PublishAsync(one, "t", "1");
        using var probe = await rig.Client.GetAsync($"{one.Http}/v1.0/invoke/sub/method/healthz", Token);
        var before = posts.Count;
        isHealthy = true;
        await Wait.UntilAsync("the event has come", () => posts.Count == 1);

        Assert.Equal((0, HttpStatusCode.InternalServerError), (before, probe.StatusCode));
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        if (app is not null)
        {
            await app.DisposeAsync();
        }
    }

    private async Task StartAppAsync(Func<JsonNode, IResult> answer, Func<bool>? isHealthy = null, string extra = "")
    {
        var sub = rig.AddApp("sub", extra: extra);
        app = await HostedTestApp.StartAsync(sub.AppPort, web =>
        {
            web.MapGet("/healthz", () => isHealthy?.Invoke() is false ? Results.StatusCode(500) : Results.Ok());
            web.MapPost("/{path}", async (HttpContext context) =>
            {
                var body = (await JsonNode.ParseAsync(context.Request.Body))!;
                posts.Enqueue((context.Request.Path, body));
                return answer(body);
            });
        });
        await rig.StartAsync(untilReady: isHealthy is null);
    }

    private Task<HttpResponseMessage> PublishAsync(RigApp from, string topic, string json, string query = "") =>
        rig.Client.PostAsync($"{from.Http}/v1.0/publish/bus/{topic}{query}", new StringContent(json, Encoding.UTF8, "application/json"), Token);

    private static async Task<Stream> SubscribeAsync(GrpcChannel channel, string pubSub, string topic, string deadLetter = "")
    {
        var stream = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).SubscribeTopicEventsAlpha1(cancellationToken: Token);
        var initial = new SubscribeTopicEventsRequestInitialAlpha1 { PubsubName = pubSub, Topic = topic };
        if (deadLetter.Length > 0)
        {
            initial.DeadLetterTopic = deadLetter;
        }

        await stream.RequestStream.WriteAsync(new SubscribeTopicEventsRequestAlpha1 { InitialRequest = initial }, Token);
        Assert.True(await stream.ResponseStream.MoveNext(Token));
        Assert.NotNull(stream.ResponseStream.Current.InitialResponse);
        return stream;
    }

    private static async Task<TopicEventRequest> NextAsync(Stream stream)
    {
        Assert.True(await stream.ResponseStream.MoveNext(Token));
        return stream.ResponseStream.Current.EventMessage;
    }

    private static Task AnswerAsync(Stream stream, string id, Verdict verdict) => stream.RequestStream.WriteAsync(
        new SubscribeTopicEventsRequestAlpha1 { EventProcessed = new SubscribeTopicEventsRequestProcessedAlpha1 { Id = id, Status = new TopicEventResponse { Status = verdict } } }, Token);
}
