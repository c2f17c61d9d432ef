using System.Collections.Concurrent;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Resilience;

/// <summary>One app's policies by target. Each has its breaker's state, so it is made once.</summary>
internal sealed class AppResilience(ResiliencyDefinition definition, TimeProvider time)
{
    public static readonly AppResilience None = new(ResiliencyDefinition.None, TimeProvider.System);

    private readonly bool isEmpty = ReferenceEquals(definition, ResiliencyDefinition.None);
    private readonly ConcurrentDictionary<(string Kind, string Name), ResiliencePolicy?> policies = new();

    /// <summary>For calls to another app; null where no policy applies.</summary>
    public ResiliencePolicy? ForApp(string appId) => Find("app", appId, definition.Apps, definition.DefaultApp);

    public ResiliencePolicy? ForActor(string type) => Find("actor type", type, definition.Actors, definition.DefaultActor);

    /// <summary>For what a component hands to the app.</summary>
    public ResiliencePolicy? Inbound(string component) => Find("deliveries of component", component, definition.Inbound, definition.DefaultInbound);

    /// <summary>For what the app asks of a component.</summary>
    public ResiliencePolicy? Outbound(string component) => Find("component", component, definition.Outbound, definition.DefaultOutbound);

    private ResiliencePolicy? Find(string kind, string name, IReadOnlyDictionary<string, PolicyDefinition> named, PolicyDefinition? otherwise) => isEmpty
        ? null
        : policies.GetOrAdd((kind, name), key => (named.TryGetValue(key.Name, out var policy) ? policy : otherwise) is { IsEmpty: false } found
            ? new ResiliencePolicy($"{key.Kind} {key.Name}", found, time)
            : null);
}
