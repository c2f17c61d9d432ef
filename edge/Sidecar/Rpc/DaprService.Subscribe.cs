using Dapr.Client.Autogen.Grpc.v1;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>Streaming subscriptions: they last as long as the call does.</summary>
internal sealed partial class DaprService
{
    public async Task SubscribeTopicEventsAlpha1(
        IAsyncStreamReader<SubscribeTopicEventsRequestAlpha1> requests, IServerStreamWriter<SubscribeTopicEventsResponseAlpha1> responses, ServerCallContext context)
    {
        var http = context.GetHttpContext();
        var app = http.App();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Ending);
        var (pubSub, subscription) = await ReadInitialAsync(app, requests, ending.Token);
        using var stream = new EventStream(responses);
        var delivery = new EventDelivery(app, subscription, pubSub, stream, app.Time, http.RequestServices.GetRequiredService<ILogger<EventDelivery>>());
        await using var deliveries = await pubSub.Broker.SubscribeAsync(new Dictionary<string, BrokerHandler> { [subscription.Topic] = delivery.HandleAsync }, ending.Token);
        try
        {
            // Only now: what the app publishes once it has the answer is for this subscription, too.
            await stream.OpenAsync(ending.Token);
            await stream.ReadAsync(requests, ending.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException && ending.IsCancellationRequested)
        {
            // The app has gone or the host stops: either ends the subscription.
        }
        finally
        {
            // Before the deliveries end, since that waits for those under way.
            stream.Close();
        }
    }

    private static async Task<(PubSubComponent PubSub, Subscription Subscription)> ReadInitialAsync(
        HostedApp app, IAsyncStreamReader<SubscribeTopicEventsRequestAlpha1> requests, CancellationToken cancellationToken)
    {
        if (!await requests.MoveNext(cancellationToken) || requests.Current.InitialRequest is not { PubsubName.Length: > 0, Topic.Length: > 0 } initial)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, "initial request is required: the first message names pubsub_name and topic"));
        }

        try
        {
            var pubSub = app.Components.PubSub(initial.PubsubName);
            if (!pubSub.Scopes.MaySubscribe(initial.Topic))
            {
                throw new DaprError(403, StatusCode.PermissionDenied, "ERR_PUBSUB_FORBIDDEN", $"topic {initial.Topic} is not allowed for app id {app.Id}");
            }

            return (pubSub, new Subscription(
                initial.PubsubName, initial.Topic, [], "", IgnoringCase(initial.Metadata), initial.DeadLetterTopic is { Length: > 0 } deadLetter ? deadLetter : null, IsDeclarative: false));
        }
        catch (DaprError e)
        {
            throw Refusal.Of(e.GrpcStatus, $"{e.Code}: {e.Message}");
        }
    }
}
