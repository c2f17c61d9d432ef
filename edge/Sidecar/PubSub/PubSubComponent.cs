using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>Which topics an app may publish and hear, as the component's metadata says.</summary>
internal sealed record TopicScopes(
    IReadOnlySet<string> Allowed, IReadOnlySet<string> Protected, IReadOnlySet<string>? Publishing, IReadOnlySet<string>? Subscribing)
{
    public static TopicScopes Read(IReadOnlyDictionary<string, string> metadata, string appId) => new(
        Split(metadata.GetValueOrDefault("allowedTopics")),
        Split(metadata.GetValueOrDefault("protectedTopics")),
        For(metadata.GetValueOrDefault("publishingScopes"), appId),
        For(metadata.GetValueOrDefault("subscriptionScopes"), appId));

    public bool MayPublish(string topic) => IsAllowed(topic, Publishing);

    public bool MaySubscribe(string topic) => IsAllowed(topic, Subscribing);

    private bool IsAllowed(string topic, IReadOnlySet<string>? scope)
    {
        if (Allowed.Count > 0 && !Allowed.Contains(topic))
        {
            return false;
        }

        // No scope for this app means every topic that is not protected.
        return scope is null ? !Protected.Contains(topic) : scope.Contains(topic);
    }

    private static HashSet<string> Split(string? list) =>
        [.. (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];

    // "app1=t1,t2;app2=": an app that is named without topics may use none.
    private static HashSet<string>? For(string? scopes, string appId)
    {
        foreach (var scope in (scopes ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var parts = scope.Split('=', 2);
            if (parts.Length == 2 && parts[0].Trim() == appId)
            {
                return Split(parts[1]);
            }
        }

        return null;
    }
}

/// <summary>A pub/sub component as one app sees it.</summary>
internal sealed class PubSubComponent(string name, IBroker broker, TopicScopes scopes)
{
    public string Name => name;
    public IBroker Broker => broker;
    public TopicScopes Scopes => scopes;

    /// <summary>For deliveries to the app; null where no policy applies.</summary>
    public ResiliencePolicy? Inbound { get; private set; }

    private ResiliencePolicy? Outbound { get; set; }

    public void Guard(ResiliencePolicy? inbound, ResiliencePolicy? outbound) => (Inbound, Outbound) = (inbound, outbound);

    public async Task PublishAsync(
        string topic, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        try
        {
            if (Outbound is { } policy)
            {
                await policy.ExecuteAsync(
                    async token =>
                    {
                        await broker.PublishAsync(topic, data, metadata, token);
                        return true;
                    },
                    cancellationToken);
                return;
            }

            await broker.PublishAsync(topic, data, metadata, cancellationToken);
        }
        catch (Exception e) when (e is StackExchange.Redis.RedisException or RabbitMQ.Client.Exceptions.RabbitMQClientException or IOException or TimeoutException or ObjectDisposedException or CircuitOpenException)
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_PUBSUB_PUBLISH_MESSAGE",
                $"error when publishing to topic {topic} in pubsub {name}: {e.Message}");
        }
    }

    public void DemandPublish(string topic, string appId)
    {
        if (topic.Length == 0)
        {
            throw new DaprError(404, StatusCode.InvalidArgument, "ERR_TOPIC_NAME_EMPTY", $"topic is empty in pubsub {name}");
        }

        if (!scopes.MayPublish(topic))
        {
            throw new DaprError(403, StatusCode.PermissionDenied, "ERR_PUBSUB_FORBIDDEN", $"topic {topic} is not allowed for app id {appId}");
        }
    }
}
