using System.Diagnostics;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.Tests;

/// <summary>kind: Resiliency on what an app asks of its broker.</summary>
public sealed class PublishResiliencyTests : IAsyncDisposable
{
    private readonly FailingBroker broker = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_publish_that_fails_is_tried_again_and_then_told_with_the_cause()
    {
        var retry = new RetryDefinition(IsExponential: false, TimeSpan.Zero, TimeSpan.Zero, MaxRetries: 2, null, null);
        var pubSub = Guarded(new PolicyDefinition(null, retry, null));
        broker.Failures = 2;

        await PublishAsync(pubSub);
        Assert.Equal(3, broker.Publishes);

        broker.Failures = 9;
        var failure = await Assert.ThrowsAsync<DaprError>(() => PublishAsync(pubSub));
        Assert.Equal(("ERR_PUBSUB_PUBLISH_MESSAGE", 6), (failure.Code, broker.Publishes));
        Assert.Contains("the broker is away", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_publish_that_takes_too_long_is_ended_with_the_cause()
    {
        var pubSub = Guarded(new PolicyDefinition(TimeSpan.FromMilliseconds(50), null, null));
        broker.Answers = false;

        var failure = await Assert.ThrowsAsync<DaprError>(() => PublishAsync(pubSub));

        Assert.Equal("ERR_PUBSUB_PUBLISH_MESSAGE", failure.Code);
        Assert.Contains("did not answer within 50 ms", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_open_breaker_refuses_without_asking_the_broker()
    {
        var rule = RoutingRule.Parse("consecutiveFailures >= 2", BreakerCounts.Names);
        var pubSub = Guarded(new PolicyDefinition(null, null, new BreakerDefinition(1, TimeSpan.Zero, TimeSpan.FromHours(1), rule)));
        broker.Failures = 9;
        await Assert.ThrowsAsync<DaprError>(() => PublishAsync(pubSub));
        await Assert.ThrowsAsync<DaprError>(() => PublishAsync(pubSub));

        var failure = await Assert.ThrowsAsync<DaprError>(() => PublishAsync(pubSub));

        Assert.Contains("circuit breaker is open", failure.Message, StringComparison.Ordinal);
        Assert.Equal(2, broker.Publishes);
    }

    public ValueTask DisposeAsync() => broker.DisposeAsync();

    private static Task PublishAsync(PubSubComponent pubSub) => pubSub.PublishAsync("topic", "1"u8.ToArray(), new Dictionary<string, string>(), Token);

    private PubSubComponent Guarded(PolicyDefinition policy)
    {
        var pubSub = new PubSubComponent("bus", broker, TopicScopes.Read(new Dictionary<string, string>(), "app"));
        pubSub.Guard(inbound: null, new ResiliencePolicy("component bus", policy, TimeProvider.System));
        return pubSub;
    }

    /// <summary>Fails as a broker does that is away, as often as it is told to.</summary>
    private sealed class FailingBroker : IBroker
    {
        public int Failures { get; set; }
        public int Publishes { get; private set; }
        public bool Answers { get; set; } = true;

        public Task PublishAsync(string topic, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken)
        {
            Publishes++;
            return !Answers ? Task.Delay(Timeout.Infinite, cancellationToken) : Failures-- > 0 ? throw new IOException("the broker is away") : Task.CompletedTask;
        }

        public Task<IAsyncDisposable> SubscribeAsync(IReadOnlyDictionary<string, BrokerHandler> topics, CancellationToken cancellationToken) => throw new UnreachableException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
