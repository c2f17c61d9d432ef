using Dapr.Client;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.State;

/// <summary>State through Dapr.Client, as an app uses it.</summary>
public sealed class StateSdkTests(World world)
{
    private DaprClient Dapr => world.Main.Sdk;

    public static TheoryData<string> Stores => new(StateStores.All);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory, MemberData(nameof(Stores))]
    public async Task A_record_is_saved_read_and_deleted(string store)
    {
        var key = StateStores.NewKey();

        await Dapr.SaveStateAsync(store, key, new Thing("lamp", 3), cancellationToken: Token);
        Assert.Equal(new Thing("lamp", 3), await Dapr.GetStateAsync<Thing>(store, key, cancellationToken: Token));

        await Dapr.DeleteStateAsync(store, key, cancellationToken: Token);
        Assert.Null(await Dapr.GetStateAsync<Thing>(store, key, cancellationToken: Token));
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task Try_save_and_try_delete_say_false_for_a_stale_etag(string store)
    {
        var key = StateStores.NewKey();
        await Dapr.SaveStateAsync(store, key, 1, cancellationToken: Token);
        var (_, stale) = await Dapr.GetStateAndETagAsync<int>(store, key, cancellationToken: Token);
        Assert.True(await Dapr.TrySaveStateAsync(store, key, 2, stale, cancellationToken: Token));

        Assert.False(await Dapr.TrySaveStateAsync(store, key, 3, stale, cancellationToken: Token));
        Assert.False(await Dapr.TryDeleteStateAsync(store, key, stale, cancellationToken: Token));
        Assert.Equal(2, await Dapr.GetStateAsync<int>(store, key, cancellationToken: Token));
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task Bulk_calls_save_read_and_delete_many(string store)
    {
        string[] keys = [StateStores.NewKey(), StateStores.NewKey()];

        await Dapr.SaveBulkStateAsync(store, [.. keys.Select(key => new SaveStateItem<string>(key, "value of " + key, null!))], Token);
        var got = await Dapr.GetBulkStateAsync<string>(store, keys, parallelism: 2, cancellationToken: Token);
        await Dapr.DeleteBulkStateAsync(store, [.. got.Select(item => new BulkDeleteStateItem(item.Key, item.ETag))], Token);

        Assert.Equal(keys.Select(key => (key, "value of " + key)), got.OrderBy(item => Array.IndexOf(keys, item.Key)).Select(item => (item.Key, item.Value)));
        Assert.Null(await Dapr.GetStateAsync<string>(store, keys[0], cancellationToken: Token));
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_transaction_saves_and_deletes(string store)
    {
        var (old, fresh) = (StateStores.NewKey(), StateStores.NewKey());
        await Dapr.SaveStateAsync(store, old, 1, cancellationToken: Token);

        await Dapr.ExecuteStateTransactionAsync(store,
            [new StateTransactionRequest(fresh, "2"u8.ToArray(), StateOperationType.Upsert), new StateTransactionRequest(old, [], StateOperationType.Delete)], cancellationToken: Token);

        Assert.Equal((0, 2), (await Dapr.GetStateAsync<int>(store, old, cancellationToken: Token), await Dapr.GetStateAsync<int>(store, fresh, cancellationToken: Token)));
    }

    private sealed record Thing(string Name, int Count);
}
