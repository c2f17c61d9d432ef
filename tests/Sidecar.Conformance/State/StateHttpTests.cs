using System.Text.Json.Nodes;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.State;

/// <summary>/v1.0/state: what is saved, read, changed and deleted, in every store.</summary>
public sealed class StateHttpTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    public static TheoryData<string> Stores => new(StateStores.All);

    public static TheoryData<string> AtomicStores => new(StateStores.Atomic);

    public static TheoryData<string> StoresTellingExpiry => new(StateStores.TellingExpiry);

    public static MatrixTheoryData<string, string> Values => new(StateStores.All, ["""{"a":{"b":[1,2]}}""", "\"text\"", "7", "true", "[1,\"two\"]", "\"\""]);

    [Theory, MemberData(nameof(Values))]
    public async Task A_value_comes_back_as_it_was_saved(string store, string value)
    {
        var key = await SaveAsync(store, value);

        var got = (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Is(200);

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(value), got.Json), got.Body);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task An_absent_key_is_an_empty_204(string store)
    {
        var got = (await Dapr.GetAsync($"/v1.0/state/{store}/{StateStores.NewKey()}")).Is(204);

        Assert.Empty(got.Body);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task Several_items_are_saved_by_one_call(string store)
    {
        var (one, two) = (StateStores.NewKey(), StateStores.NewKey());

        (await Dapr.PostAsync($"/v1.0/state/{store}", $$"""[{"key":"{{one}}","value":1},{"key":"{{two}}","value":2}]""")).Is(204);

        Assert.Equal("1", (await Dapr.GetAsync($"/v1.0/state/{store}/{one}")).Body);
        Assert.Equal("2", (await Dapr.GetAsync($"/v1.0/state/{store}/{two}")).Body);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_deleted_key_is_gone_and_deleting_it_again_is_no_error(string store)
    {
        var key = await SaveAsync(store, "1");

        (await Dapr.DeleteAsync($"/v1.0/state/{store}/{key}")).Is(204);
        (await Dapr.DeleteAsync($"/v1.0/state/{store}/{key}")).Is(204);

        (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Is(204);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task The_etag_changes_with_every_save(string store)
    {
        var key = await SaveAsync(store, "1");
        var first = await EtagAsync(store, key);

        await SaveAsync(store, "2", key);

        Assert.NotEqual(first, await EtagAsync(store, key));
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_save_with_the_present_etag_succeeds(string store)
    {
        var key = await SaveAsync(store, "1");

        (await Dapr.PostAsync($"/v1.0/state/{store}", $$"""[{"key":"{{key}}","value":2,"etag":"{{await EtagAsync(store, key)}}"}]""")).Is(204);

        Assert.Equal("2", (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Body);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_save_with_a_stale_etag_is_a_409_and_changes_nothing(string store)
    {
        var key = await SaveAsync(store, "1");
        var stale = await EtagAsync(store, key);
        await SaveAsync(store, "2", key);

        (await Dapr.PostAsync($"/v1.0/state/{store}", $$"""[{"key":"{{key}}","value":3,"etag":"{{stale}}"}]""")).IsError(409, "ERR_STATE_SAVE");

        Assert.Equal("2", (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Body);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_delete_with_a_stale_etag_is_a_409_and_one_with_the_present_etag_deletes(string store)
    {
        var key = await SaveAsync(store, "1");
        var stale = await EtagAsync(store, key);
        await SaveAsync(store, "2", key);

        (await Dapr.DeleteAsync($"/v1.0/state/{store}/{key}", ("If-Match", stale))).IsError(409, "ERR_STATE_DELETE");
        (await Dapr.DeleteAsync($"/v1.0/state/{store}/{key}", ("If-Match", await EtagAsync(store, key)))).Is(204);

        (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Is(204);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_first_write_without_an_etag_does_not_replace_what_is_there(string store)
    {
        var key = StateStores.NewKey();
        string Item(int value) => $$$"""[{"key":"{{{key}}}","value":{{{value}}},"options":{"concurrency":"first-write"}}]""";

        (await Dapr.PostAsync($"/v1.0/state/{store}", Item(1))).Is(204);
        Assert.Equal("ERR_STATE_SAVE", (string?)(await Dapr.PostAsync($"/v1.0/state/{store}", Item(2))).Json["errorCode"]);

        Assert.Equal("1", (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Body);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_last_write_replaces_what_is_there(string store)
    {
        var key = await SaveAsync(store, "1");

        (await Dapr.PostAsync($"/v1.0/state/{store}", $$$"""[{"key":"{{{key}}}","value":2,"options":{"concurrency":"last-write","consistency":"strong"}}]""")).Is(204);

        Assert.Equal("2", (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Body);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task Bulk_get_tells_what_is_there_and_what_is_not(string store)
    {
        var (there, absent) = (await SaveAsync(store, """{"n":1}"""), StateStores.NewKey());

        var got = (await Dapr.PostAsync($"/v1.0/state/{store}/bulk", $$"""{"keys":["{{there}}","{{absent}}"],"parallelism":2}""")).Is(200).Json.AsArray();

        Assert.Equal(new[] { there, absent }.Order(), got.Select(item => (string)item!["key"]!).Order());
        var found = got.Single(item => (string)item!["key"]! == there)!;
        Assert.Equal(1, (int)found["data"]!["n"]!);
        Assert.Equal(await EtagAsync(store, there), (string?)found["etag"]);
        Assert.Null(got.Single(item => (string)item!["key"]! == absent)!["data"]);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task Bulk_get_of_no_keys_is_an_empty_list(string store) =>
        Assert.Empty((await Dapr.PostAsync($"/v1.0/state/{store}/bulk", """{"keys":[]}""")).Is(200).Json.AsArray());

    [Theory, MemberData(nameof(Stores))]
    public async Task A_transaction_does_all_of_it(string store)
    {
        var (old, fresh) = (await SaveAsync(store, "1"), StateStores.NewKey());

        (await Dapr.PostAsync($"/v1.0/state/{store}/transaction", $$$"""
            {"operations":[{"operation":"upsert","request":{"key":"{{{fresh}}}","value":2}},{"operation":"delete","request":{"key":"{{{old}}}"}}],"metadata":{}}
            """)).Is(204);

        (await Dapr.GetAsync($"/v1.0/state/{store}/{old}")).Is(204);
        Assert.Equal("2", (await Dapr.GetAsync($"/v1.0/state/{store}/{fresh}")).Body);
    }

    [Theory, MemberData(nameof(AtomicStores))]
    public async Task A_transaction_with_a_stale_etag_does_none_of_it(string store)
    {
        var (guarded, fresh) = (await SaveAsync(store, "1"), StateStores.NewKey());
        var stale = await EtagAsync(store, guarded);
        await SaveAsync(store, "2", guarded);

        (await Dapr.PostAsync($"/v1.0/state/{store}/transaction", $$$"""
            {"operations":[{"operation":"upsert","request":{"key":"{{{fresh}}}","value":1}},{"operation":"upsert","request":{"key":"{{{guarded}}}","value":3,"etag":"{{{stale}}}"}}]}
            """)).IsError(500, "ERR_STATE_TRANSACTION");

        (await Dapr.GetAsync($"/v1.0/state/{store}/{fresh}")).Is(204);
        Assert.Equal("2", (await Dapr.GetAsync($"/v1.0/state/{store}/{guarded}")).Body);
    }

    [Theory, MemberData(nameof(StoresTellingExpiry))]
    public async Task A_value_says_when_it_ends(string store)
    {
        var key = StateStores.NewKey();
        (await Dapr.PostAsync($"/v1.0/state/{store}", $$$"""[{"key":"{{{key}}}","value":1,"metadata":{"ttlInSeconds":"3600"}}]""")).Is(204);

        var end = (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Is(200).Header("metadata.ttlExpireTime");

        Assert.True(DateTimeOffset.Parse(end!) > DateTimeOffset.UtcNow.AddMinutes(30), end);
    }

    [Theory, MemberData(nameof(Stores))]
    public async Task A_value_ends_with_its_time_to_live(string store)
    {
        var key = StateStores.NewKey();
        (await Dapr.PostAsync($"/v1.0/state/{store}", $$$"""[{"key":"{{{key}}}","value":1,"metadata":{"ttlInSeconds":"1"}}]""")).Is(204);

        await Wait.UntilAsync("the value ends", async () => (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Status == 204);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/bulk")]
    [InlineData("/transaction")]
    public async Task Put_is_as_good_as_post(string path)
    {
        var key = await SaveAsync("memory", "1");
        var body = path switch
        {
            "" => $$"""[{"key":"{{key}}","value":2}]""",
            "/bulk" => $$"""{"keys":["{{key}}"]}""",
            _ => $$$"""{"operations":[{"operation":"upsert","request":{"key":"{{{key}}}","value":2}}]}""",
        };

        (await Dapr.PutAsync("/v1.0/state/memory" + path, body)).Is(path == "/bulk" ? 200 : 204);
    }

    [Fact]
    public async Task Each_app_has_its_own_keys()
    {
        var key = await SaveAsync("postgres", "1");

        (await world.Sdk.GetAsync($"/v1.0/state/postgres/{key}")).Is(204);
    }

    [Fact]
    public async Task Without_a_prefix_apps_share_their_keys()
    {
        var key = await SaveAsync("shared", "1");

        Assert.Equal("1", (await world.Sdk.GetAsync($"/v1.0/state/shared/{key}")).Body);
    }

    private async Task<string> SaveAsync(string store, string value, string? key = null)
    {
        key ??= StateStores.NewKey();
        (await Dapr.PostAsync($"/v1.0/state/{store}", $$$"""[{"key":"{{{key}}}","value":{{{value}}}}]""")).Is(204);
        return key;
    }

    private async Task<string> EtagAsync(string store, string key) => (await Dapr.GetAsync($"/v1.0/state/{store}/{key}")).Is(200).Header("ETag")!;
}
