using Google.Protobuf;
using Grpc.Core;
using RenderTrust.Sidecar.Conformance.Rig;
using FirstWrite = Dapr.Client.Autogen.Grpc.v1.StateOptions.Types.StateConcurrency;

namespace RenderTrust.Sidecar.Conformance.State;

/// <summary>The state rpcs, as messages: bytes in, the same bytes out.</summary>
public sealed class StateGrpcTests(World world)
{
    private Rpc.Dapr.DaprClient Dapr => world.Main.Rpc;

    public static TheoryData<string> Stores => new(StateStores.All);

    public static TheoryData<string> AtomicStores => new(StateStores.Atomic);

    public static TheoryData<string> StoresTellingExpiry => new(StateStores.TellingExpiry);

    [Theory, MemberData(nameof(Stores))]
    public async Task Bytes_come_back_as_they_were_saved(string store)
    {
        var bytes = ByteString.CopyFrom([0, 255, 1, 254, (byte)'{']);
        var key = await SaveAsync(store, bytes);

        var got = await GetAsync(store, key);

        Assert.Equal(bytes, got.Data);
        Assert.NotEmpty(got.Etag);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task An_absent_key_is_empty_data(string store) => Assert.True((await GetAsync(store, StateStores.NewKey())).Data.IsEmpty);

    [Theory, MemberData(nameof(Stores))]
    public async Task A_stale_etag_aborts_save_and_delete(string store)
    {
        var key = await SaveAsync(store, "1");
        var stale = (await GetAsync(store, key)).Etag;
        await SaveAsync(store, "2", key);
        var save = new Rpc.SaveStateRequest { StoreName = store, States = { Item(key, "3", stale) } };
        var delete = new Rpc.DeleteStateRequest { StoreName = store, Key = key, Etag = new Rpc.Etag { Value = stale } };

        await Refusal.HasStatusAsync(StatusCode.Aborted, Dapr.SaveStateAsync(save));
        await Refusal.HasStatusAsync(StatusCode.Aborted, Dapr.DeleteStateAsync(delete));

        Assert.Equal("2", (await GetAsync(store, key)).Data.ToStringUtf8());
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task Delete_and_bulk_delete_remove(string store)
    {
        var (one, two, three) = (await SaveAsync(store, "1"), await SaveAsync(store, "2"), await SaveAsync(store, "3"));

        await Dapr.DeleteStateAsync(new Rpc.DeleteStateRequest { StoreName = store, Key = one });
        await Dapr.DeleteBulkStateAsync(new Rpc.DeleteBulkStateRequest { StoreName = store, States = { new Rpc.StateItem { Key = two }, new Rpc.StateItem { Key = three } } });

        Assert.All(new[] { one, two, three }, key => Assert.True(Dapr.GetState(new Rpc.GetStateRequest { StoreName = store, Key = key }).Data.IsEmpty));
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task Bulk_get_names_each_key_once(string store)
    {
        var (there, absent) = (await SaveAsync(store, "1"), StateStores.NewKey());

        var got = await Dapr.GetBulkStateAsync(new Rpc.GetBulkStateRequest { StoreName = store, Keys = { there, absent }, Parallelism = 2 });

        Assert.Equal("1", got.Items.Single(item => item.Key == there).Data.ToStringUtf8());
        Assert.True(got.Items.Single(item => item.Key == absent).Data.IsEmpty);
        Assert.All(got.Items, item => Assert.Empty(item.Error));
    }

    [Theory, MemberData(nameof(AtomicStores))]
    public async Task A_transaction_is_all_or_nothing(string store)
    {
        var (old, fresh) = (await SaveAsync(store, "1"), StateStores.NewKey());
        var all = new Rpc.ExecuteStateTransactionRequest { StoreName = store };
        all.Operations.Add(new Rpc.TransactionalStateOperation { OperationType = "upsert", Request = Item(fresh, "2") });
        all.Operations.Add(new Rpc.TransactionalStateOperation { OperationType = "delete", Request = new Rpc.StateItem { Key = old } });
        var stale = new Rpc.ExecuteStateTransactionRequest { StoreName = store };
        stale.Operations.Add(new Rpc.TransactionalStateOperation { OperationType = "delete", Request = new Rpc.StateItem { Key = fresh } });
        stale.Operations.Add(new Rpc.TransactionalStateOperation { OperationType = "upsert", Request = Item(old, "3", (await GetAsync(store, old)).Etag) });

        await Dapr.ExecuteStateTransactionAsync(all);
        await Refusal.HasStatusAsync(StatusCode.Internal, Dapr.ExecuteStateTransactionAsync(stale));

        Assert.Equal("2", (await GetAsync(store, fresh)).Data.ToStringUtf8());
        Assert.True((await GetAsync(store, old)).Data.IsEmpty);
    }

    [Theory, MemberData(nameof(StoresTellingExpiry))]
    public async Task A_time_to_live_shows_in_the_metadata(string store)
    {
        var item = Item(StateStores.NewKey(), "1");
        item.Metadata["ttlInSeconds"] = "3600";
        await Dapr.SaveStateAsync(new Rpc.SaveStateRequest { StoreName = store, States = { item } });

        Assert.True(DateTimeOffset.Parse((await GetAsync(store, item.Key)).Metadata["ttlExpireTime"]) > DateTimeOffset.UtcNow.AddMinutes(30));
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_first_write_does_not_replace(string store)
    {
        var item = Item(StateStores.NewKey(), "1");
        item.Options = new Rpc.StateOptions { Concurrency = FirstWrite.ConcurrencyFirstWrite };
        await Dapr.SaveStateAsync(new Rpc.SaveStateRequest { StoreName = store, States = { item } });
        item.Value = ByteString.CopyFromUtf8("2");

        await Assert.ThrowsAsync<RpcException>(() => Dapr.SaveStateAsync(new Rpc.SaveStateRequest { StoreName = store, States = { item } }).ResponseAsync);

        Assert.Equal("1", (await GetAsync(store, item.Key)).Data.ToStringUtf8());
    }

    [Fact]
    public async Task What_http_saves_grpc_reads()
    {
        var key = StateStores.NewKey();
        (await world.Main.PostAsync("/v1.0/state/postgres", $$$"""[{"key":"{{{key}}}","value":{"n":1}}]""")).Is(204);

        Assert.Equal("""{"n":1}""", (await GetAsync("postgres", key)).Data.ToStringUtf8());
    }

    [Fact]
    public async Task An_unknown_store_is_an_invalid_argument()
    {
        await Refusal.HasStatusAsync(StatusCode.InvalidArgument, Dapr.GetStateAsync(new Rpc.GetStateRequest { StoreName = "nowhere", Key = "k" }));
        await Refusal.HasStatusAsync(StatusCode.InvalidArgument, Dapr.SaveStateAsync(new Rpc.SaveStateRequest { StoreName = "nowhere", States = { Item("k", "1") } }));
        await Refusal.HasStatusAsync(StatusCode.InvalidArgument, Dapr.GetBulkStateAsync(new Rpc.GetBulkStateRequest { StoreName = "nowhere", Keys = { "k" } }));
    }

    [Fact]
    public Task Without_any_store_the_precondition_fails() =>
        Refusal.HasStatusAsync(StatusCode.FailedPrecondition, world.Bare.Rpc.GetStateAsync(new Rpc.GetStateRequest { StoreName = "memory", Key = "k" }));

    [Fact]
    public async Task Keys_with_two_bars_and_etags_that_cannot_be_read_are_invalid_arguments()
    {
        await Refusal.HasStatusAsync(StatusCode.InvalidArgument, Dapr.SaveStateAsync(new Rpc.SaveStateRequest { StoreName = "memory", States = { Item("a||b", "1") } }));
        await Refusal.HasStatusAsync(StatusCode.InvalidArgument, Dapr.SaveStateAsync(new Rpc.SaveStateRequest { StoreName = "postgres", States = { Item("k", "1", "no-etag") } }));
    }

    private static Rpc.StateItem Item(string key, string value, string? etag = null)
    {
        var item = new Rpc.StateItem { Key = key, Value = ByteString.CopyFromUtf8(value) };
        item.Etag = etag is null ? null : new Rpc.Etag { Value = etag };
        return item;
    }

    private Task<string> SaveAsync(string store, string value, string? key = null) => SaveAsync(store, ByteString.CopyFromUtf8(value), key);

    private async Task<string> SaveAsync(string store, ByteString value, string? key = null)
    {
        key ??= StateStores.NewKey();
        await Dapr.SaveStateAsync(new Rpc.SaveStateRequest { StoreName = store, States = { new Rpc.StateItem { Key = key, Value = value } } });
        return key;
    }

    private async Task<Rpc.GetStateResponse> GetAsync(string store, string key) => await Dapr.GetStateAsync(new Rpc.GetStateRequest { StoreName = store, Key = key });
}
