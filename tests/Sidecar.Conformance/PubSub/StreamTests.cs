using Dapr.AppCallback.Autogen.Grpc.v1;
using Grpc.Core;
using RenderTrust.Sidecar.Conformance.Rig;
using Verdict = Dapr.AppCallback.Autogen.Grpc.v1.TopicEventResponse.Types.TopicEventResponseStatus;

namespace RenderTrust.Sidecar.Conformance.PubSub;

/// <summary>Subscriptions over a stream, which need no route in any app.</summary>
public sealed class StreamTests(World world)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_event_comes_down_the_stream_with_what_was_published()
    {
        var (stream, topic) = await OpenAsync();
        using var _ = stream;
        (await world.Main.PostAsync($"/v1.0/publish/pubsub/{topic}", """{"n":1}""")).Is(204);

        var message = await NextAsync(stream);

        Assert.Equal(("""{"n":1}""", topic, "pubsub", "conformance", "com.dapr.event.sent"), (message.Data.ToStringUtf8(), message.Topic, message.PubsubName, message.Source, message.Type));
        Assert.NotEmpty(message.Id);
    }

    [Theory]
    [InlineData(Verdict.Success)]
    [InlineData(Verdict.Retry)]
    [InlineData(Verdict.Drop)]
    public async Task Only_an_event_to_be_retried_comes_again_and_again(Verdict verdict)
    {
        var (stream, topic) = await OpenAsync();
        using var _ = stream;
        (await world.Main.PostAsync($"/v1.0/publish/pubsub/{topic}", "1")).Is(204);
        (await world.Main.PostAsync($"/v1.0/publish/pubsub/{topic}", "2")).Is(204);

        // The second event is refused four times and shows how rounds of redelivery pass.
        var order = new List<string>();
        while (order.Count(data => data == "2") < 5)
        {
            var message = await NextAsync(stream);
            order.Add(message.Data.ToStringUtf8());
            await AnswerAsync(stream, message.Id, order[^1] == "1" ? verdict : Verdict.Retry);
        }

        var thirdTwo = order.IndexOf("2", order.IndexOf("2", order.IndexOf("2") + 1) + 1);
        Assert.Contains("1", order);
        Assert.Equal(verdict == Verdict.Retry, order.Skip(thirdTwo).Contains("1"));
    }

    [Fact]
    public async Task An_unknown_pubsub_ends_the_stream()
    {
        using var stream = world.Main.Rpc.SubscribeTopicEventsAlpha1(cancellationToken: Token);
        await stream.RequestStream.WriteAsync(new Rpc.SubscribeTopicEventsRequestAlpha1 { InitialRequest = new() { PubsubName = "nowhere", Topic = "t" } }, Token);

        await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await stream.ResponseStream.MoveNext(Token))
            {
            }
        });
    }

    private async Task<(AsyncDuplexStreamingCall<Rpc.SubscribeTopicEventsRequestAlpha1, Rpc.SubscribeTopicEventsResponseAlpha1> Stream, string Topic)> OpenAsync()
    {
        var topic = $"streamed-{EnvelopeTests.NewMark()}";
        var stream = world.Main.Rpc.SubscribeTopicEventsAlpha1(cancellationToken: Token);
        await stream.RequestStream.WriteAsync(new Rpc.SubscribeTopicEventsRequestAlpha1 { InitialRequest = new() { PubsubName = "pubsub", Topic = topic } }, Token);
        Assert.True(await stream.ResponseStream.MoveNext(Token));
        Assert.Equal(Rpc.SubscribeTopicEventsResponseAlpha1.SubscribeTopicEventsResponseTypeOneofCase.InitialResponse, stream.ResponseStream.Current.SubscribeTopicEventsResponseTypeCase);
        return (stream, topic);
    }

    private static async Task<TopicEventRequest> NextAsync(AsyncDuplexStreamingCall<Rpc.SubscribeTopicEventsRequestAlpha1, Rpc.SubscribeTopicEventsResponseAlpha1> stream)
    {
        Assert.True(await stream.ResponseStream.MoveNext(Token));
        return stream.ResponseStream.Current.EventMessage;
    }

    private static Task AnswerAsync(AsyncDuplexStreamingCall<Rpc.SubscribeTopicEventsRequestAlpha1, Rpc.SubscribeTopicEventsResponseAlpha1> stream, string id, Verdict answer) =>
        stream.RequestStream.WriteAsync(new Rpc.SubscribeTopicEventsRequestAlpha1 { EventProcessed = new() { Id = id, Status = new TopicEventResponse { Status = answer } } }, Token);
}
