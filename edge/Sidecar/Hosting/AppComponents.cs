using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Bindings;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.Secrets;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>The components that one app may use, by name. Lookups fail in daprd's words.</summary>
internal sealed class AppComponents(
    IReadOnlyList<ComponentDefinition> definitions,
    IReadOnlyDictionary<string, StateComponent> stateStores,
    IReadOnlyDictionary<string, PubSubComponent> pubSubs,
    IReadOnlyDictionary<string, ISecretStore> secretStores,
    IReadOnlyList<CronBinding> cronBindings)
{
    public IReadOnlyList<ComponentDefinition> Definitions => definitions;
    public IReadOnlyDictionary<string, PubSubComponent> PubSubs => pubSubs;
    public IReadOnlyList<CronBinding> CronBindings => cronBindings;
    public StateComponent? ActorStore => stateStores.Values.FirstOrDefault(store => store.IsActorStore);

    public StateComponent StateStore(string name)
    {
        if (stateStores.Count == 0)
        {
            throw new DaprError(500, StatusCode.FailedPrecondition, "ERR_STATE_STORE_NOT_CONFIGURED", "state store is not configured");
        }

        return stateStores.TryGetValue(name, out var store)
            ? store
            : throw new DaprError(400, StatusCode.InvalidArgument, "ERR_STATE_STORE_NOT_FOUND", $"state store {name} is not found");
    }

    public PubSubComponent PubSub(string name) =>
        pubSubs.TryGetValue(name, out var pubSub)
            ? pubSub
            : throw new DaprError(404, StatusCode.InvalidArgument, "ERR_PUBSUB_NOT_FOUND", $"pubsub {name} is not found");

    public ISecretStore SecretStore(string name)
    {
        if (secretStores.Count == 0)
        {
            throw new DaprError(500, StatusCode.FailedPrecondition, "ERR_SECRET_STORES_NOT_CONFIGURED", "secret store is not configured");
        }

        return secretStores.TryGetValue(name, out var store)
            ? store
            : throw new DaprError(401, StatusCode.InvalidArgument, "ERR_SECRET_STORE_NOT_FOUND", $"failed finding secret store with key {name}");
    }
}
