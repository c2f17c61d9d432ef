using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Dapr;
using Dapr.Client;
using Grpc.Core;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

/// <summary>What every state store must do, over HTTP and over gRPC with the real client.</summary>
public abstract class StateContract : IAsyncLifetime
{
    private DaprClient dapr = null!;

    internal SidecarRig Rig { get; } = new();

    internal RigApp App { get; private set; } = null!;

    protected DaprClient Dapr => dapr;

    protected abstract void AddStore(string name, string settings);

    /// <summary>Whether JSON that came over HTTP keeps its spaces and the order of its fields.</summary>
    protected virtual bool KeepsJsonAsWritten => true;

    /// <summary>Whether components with the same settings are the same store.</summary>
    protected virtual bool SharesOnePlace => true;

    /// <summary>What a text is that can be no etag of this store: a mistake (400), or where any text could be one, a conflict (409).</summary>
    protected virtual int ForeignEtagStatus => 400;

    public virtual async ValueTask InitializeAsync()
    {
        App = Rig.AddApp("one", withPort: false);
        Rig.AddApp("two", withPort: false);
        AddStore("store", "");
        AddStore("shared", SidecarRig.Setting("keyPrefix", "none"));
        AddStore("named", SidecarRig.Setting("keyPrefix", "name"));
        AddStore("worded", SidecarRig.Setting("keyPrefix", "Studio"));
        await Rig.StartAsync();
        dapr = new DaprClientBuilder().UseHttpEndpoint(App.Http).UseGrpcEndpoint(App.Grpc).Build();
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        dapr.Dispose();
        await Rig.DisposeAsync();
    }

    [Fact]
    public async Task A_value_is_given_back_byte_for_byte()
    {
        using var saved = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json("""[{"key":"k","value":{"b": 1,  "a":"ä"}}]"""), Token);
        using var read = await Rig.Client.GetAsync($"{App.Http}/v1.0/state/store/k", Token);

        Assert.Equal(HttpStatusCode.NoContent, saved.StatusCode);
        var text = await read.Content.ReadAsStringAsync(Token);
        Assert.True(KeepsJsonAsWritten
            ? text == """{"b": 1,  "a":"ä"}"""
            : JsonNode.DeepEquals(JsonNode.Parse(text), JsonNode.Parse("""{"b": 1,  "a":"ä"}""")), text);
        Assert.NotEmpty(read.Headers.NonValidated["ETag"].ToString());
        Assert.Equal("ä", (await dapr.GetStateAsync<Sample>("store", "k", cancellationToken: Token)).A);
    }

    [Fact]
    public async Task Bytes_that_are_no_json_are_given_back_as_they_were()
    {
        var bytes = Enumerable.Range(0, 256).Select(i => (byte)i).ToArray();
        await dapr.SaveByteStateAsync("store", "bytes", bytes, cancellationToken: Token);

        Assert.Equal(bytes, (await dapr.GetByteStateAsync("store", "bytes", cancellationToken: Token)).ToArray());
        Assert.Equal(bytes, await Rig.Client.GetByteArrayAsync($"{App.Http}/v1.0/state/store/bytes", Token));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\"a \\u0000 b\"")]
    [InlineData("\"\"")]
    [InlineData("null")]
    [InlineData("0.10")]
    public async Task Small_values_are_values_too(string json)
    {
        await dapr.SaveByteStateAsync("store", "small", Encoding.UTF8.GetBytes(json), cancellationToken: Token);
        Assert.Equal(json, Encoding.UTF8.GetString((await dapr.GetByteStateAsync("store", "small", cancellationToken: Token)).Span));

        if (json.Length > 0)
        {
            using var saved = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json($$"""[{"key":"small","value":{{json}}}]"""), Token);
            Assert.Equal(HttpStatusCode.NoContent, saved.StatusCode);
            Assert.Equal(json, await Rig.Client.GetStringAsync($"{App.Http}/v1.0/state/store/small", Token));
        }
    }

    [Fact]
    public async Task A_missing_key_is_no_content_and_default()
    {
        using var read = await Rig.Client.GetAsync($"{App.Http}/v1.0/state/store/none", Token);

        Assert.Equal(HttpStatusCode.NoContent, read.StatusCode);
        Assert.Null(await dapr.GetStateAsync<Sample?>("store", "none", cancellationToken: Token));
    }

    [Fact]
    public async Task A_stale_etag_writes_nothing()
    {
        await dapr.SaveStateAsync("store", "k", new Sample("1"), cancellationToken: Token);
        var (_, etag) = await dapr.GetStateAndETagAsync<Sample>("store", "k", cancellationToken: Token);

        Assert.True(await dapr.TrySaveStateAsync("store", "k", new Sample("2"), etag, cancellationToken: Token));
        Assert.False(await dapr.TrySaveStateAsync("store", "k", new Sample("3"), etag, cancellationToken: Token));
        Assert.False(await dapr.TryDeleteStateAsync("store", "k", etag, cancellationToken: Token));
        Assert.Equal("2", (await dapr.GetStateAsync<Sample>("store", "k", cancellationToken: Token)).A);

        using var conflict = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json($$"""[{"key":"k","value":1,"etag":"{{etag}}"}]"""), Token);
        await AssertErrorAsync(conflict, 409, "ERR_STATE_SAVE");
        using var request = new HttpRequestMessage(HttpMethod.Delete, $"{App.Http}/v1.0/state/store/k");
        request.Headers.TryAddWithoutValidation("If-Match", etag);
        using var refused = await Rig.Client.SendAsync(request, Token);
        await AssertErrorAsync(refused, 409, "ERR_STATE_DELETE");
    }

    [Fact]
    public async Task An_etag_of_another_kind_is_a_callers_mistake()
    {
        await dapr.SaveStateAsync("store", "k", 1, cancellationToken: Token);
        using var response = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json("""[{"key":"k","value":1,"etag":"not one"}]"""), Token);

        await AssertErrorAsync(response, ForeignEtagStatus, "ERR_STATE_SAVE");
    }

    [Fact]
    public async Task Of_many_savers_with_one_etag_one_wins()
    {
        await dapr.SaveStateAsync("store", "contended", 0, cancellationToken: Token);
        var (_, etag) = await dapr.GetStateAndETagAsync<int>("store", "contended", cancellationToken: Token);
        var won = await Task.WhenAll(Enumerable.Range(1, 20).Select(i => dapr.TrySaveStateAsync("store", "contended", i, etag, cancellationToken: Token)));

        Assert.Single(won, yes => yes);
    }

    [Fact]
    public async Task Of_many_first_writes_one_wins()
    {
        var body = """[{"key":"race","value":1,"options":{"concurrency":"first-write"}}]""";
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            using var response = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json(body), Token);
            return response.StatusCode;
        }));

        Assert.Single(answers, status => status == HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task A_transaction_is_all_or_nothing()
    {
        await dapr.SaveStateAsync("store", "kept", "old", cancellationToken: Token);
        var stale = await StaleEtagAsync("guarded");
        StateTransactionRequest[] operations =
        [
            new("kept", Encoding.UTF8.GetBytes("\"new\""), StateOperationType.Upsert),
            new("other", Encoding.UTF8.GetBytes("1"), StateOperationType.Upsert),
            new("guarded", null, StateOperationType.Delete, etag: stale),
        ];
        var refused = await Assert.ThrowsAsync<DaprException>(() => dapr.ExecuteStateTransactionAsync("store", operations, cancellationToken: Token));
        Assert.Equal(StatusCode.Internal, ((RpcException)refused.InnerException!).StatusCode);

        Assert.Equal("old", await dapr.GetStateAsync<string>("store", "kept", cancellationToken: Token));
        Assert.Equal(0, await dapr.GetStateAsync<int>("store", "other", cancellationToken: Token));

        await dapr.ExecuteStateTransactionAsync("store", operations[..2], cancellationToken: Token);
        Assert.Equal("new", await dapr.GetStateAsync<string>("store", "kept", cancellationToken: Token));
    }

    [Fact]
    public async Task A_transaction_does_its_operations_in_order()
    {
        StateTransactionRequest[] operations =
        [
            new("ordered", Encoding.UTF8.GetBytes("1"), StateOperationType.Upsert),
            new("ordered", null, StateOperationType.Delete),
            new("ordered", Encoding.UTF8.GetBytes("2"), StateOperationType.Upsert),
            new("undone", Encoding.UTF8.GetBytes("1"), StateOperationType.Upsert),
            new("undone", null, StateOperationType.Delete),
        ];
        await dapr.ExecuteStateTransactionAsync("store", operations, cancellationToken: Token);

        Assert.Equal(2, await dapr.GetStateAsync<int>("store", "ordered", cancellationToken: Token));
        Assert.Equal(0, await dapr.GetStateAsync<int>("store", "undone", cancellationToken: Token));
    }

    [Fact]
    public async Task One_refused_save_of_several_does_not_stop_the_others()
    {
        var stale = await StaleEtagAsync("held");
        using var response = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json(
            $$"""[{"key":"before","value":1},{"key":"held","value":9,"etag":"{{stale}}"},{"key":"after","value":3}]"""), Token);

        await AssertErrorAsync(response, 409, "ERR_STATE_SAVE");
        Assert.Equal(1, await dapr.GetStateAsync<int>("store", "before", cancellationToken: Token));
        Assert.Equal(2, await dapr.GetStateAsync<int>("store", "held", cancellationToken: Token));
        Assert.Equal(3, await dapr.GetStateAsync<int>("store", "after", cancellationToken: Token));
    }

    [Fact]
    public async Task A_transaction_over_http_takes_upserts_and_deletes_only()
    {
        await dapr.SaveStateAsync("store", "b", 2, cancellationToken: Token);
        using var fine = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store/transaction", Json(
            """{"operations":[{"operation":"upsert","request":{"key":"a","value":1}},{"operation":"delete","request":{"key":"b"}}]}"""), Token);
        using var refused = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store/transaction", Json(
            """{"operations":[{"operation":"increment","request":{"key":"a"}}]}"""), Token);

        using var deleted = await Rig.Client.GetAsync($"{App.Http}/v1.0/state/store/b", Token);

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NoContent), (fine.StatusCode, deleted.StatusCode));
        await AssertErrorAsync(refused, 400, "ERR_NOT_SUPPORTED_STATE_OPERATION");
    }

    [Fact]
    public async Task Bulk_reads_answer_every_key_and_bulk_deletes_take_them()
    {
        await dapr.SaveBulkStateAsync("store", [new SaveStateItem<int>("a", 1, ""), new SaveStateItem<int>("b", 2, "")], Token);
        var items = await dapr.GetBulkStateAsync("store", ["b", "none", "a"], null, cancellationToken: Token);
        using var response = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store/bulk", Json("""{"keys":["a","none"]}"""), Token);
        var list = await response.Content.ReadFromJsonAsync<List<BulkItem>>(Token);

        Assert.Equal([("b", "2"), ("none", ""), ("a", "1")], items.Select(item => (item.Key, item.Value)));
        Assert.Equal([("a", 1), ("none", null)], list!.Select(item => (item.Key, item.Data)));
        await dapr.DeleteBulkStateAsync("store", [new BulkDeleteStateItem("a", ""), new BulkDeleteStateItem("b", "")], Token);
        Assert.Equal(0, await dapr.GetStateAsync<int>("store", "a", cancellationToken: Token));
    }

    [Fact]
    public async Task An_expired_value_is_gone_and_may_be_written_first_again()
    {
        var metadata = new Dictionary<string, string> { ["ttlInSeconds"] = "1" };
        await dapr.SaveStateAsync("store", "t", 1, metadata: metadata, cancellationToken: Token);
        using var read = await Rig.Client.GetAsync($"{App.Http}/v1.0/state/store/t", Token);
        Assert.True(read.Headers.Contains("metadata.ttlExpireTime"));

        await Wait.UntilAsync("the value expires", async () => await dapr.GetStateAsync<int>("store", "t", cancellationToken: Token) == 0);
        await dapr.SaveStateAsync("store", "t", 2, new StateOptions { Concurrency = ConcurrencyMode.FirstWrite }, cancellationToken: Token);
        Assert.Equal(2, await dapr.GetStateAsync<int>("store", "t", cancellationToken: Token));
    }

    [Fact]
    public async Task A_ttl_of_minus_one_takes_an_expiry_back()
    {
        await dapr.SaveStateAsync("store", "stays", 1, metadata: new Dictionary<string, string> { ["ttlInSeconds"] = "1000" }, cancellationToken: Token);
        await dapr.SaveStateAsync("store", "stays", 2, metadata: new Dictionary<string, string> { ["ttlInSeconds"] = "-1" }, cancellationToken: Token);
        using var read = await Rig.Client.GetAsync($"{App.Http}/v1.0/state/store/stays", Token);

        Assert.Equal("2", await read.Content.ReadAsStringAsync(Token));
        Assert.False(read.Headers.Contains("metadata.ttlExpireTime"));
    }

    [Fact]
    public async Task Every_form_of_prefix_is_the_whole_key_without_one()
    {
        await dapr.SaveStateAsync("store", "form", 1, cancellationToken: Token);
        await dapr.SaveStateAsync("named", "form", 2, cancellationToken: Token);
        await dapr.SaveStateAsync("worded", "form", 3, cancellationToken: Token);
        var stored = await Rig.Host!.Apps.Find("one")!.Components.StateStore("shared").Store.GetAsync(["one||form", "named||form", "studio||form"], Token);

        // The in-memory stores are apart, whatever their keys; the others are one place.
        Assert.Equal(SharesOnePlace ? ["1", "2", "3"] : [null, null, null], stored.Select(entry => entry is null ? null : Encoding.UTF8.GetString(entry.Value.Span)));
        Assert.Equal(2, await dapr.GetStateAsync<int>("named", "form", cancellationToken: Token));
        Assert.Equal(3, await dapr.GetStateAsync<int>("worded", "form", cancellationToken: Token));
    }

    [Fact]
    public async Task Apps_do_not_see_each_others_keys_unless_the_prefix_is_none()
    {
        var two = Rig.Host!.Apps.Find("two")!.Definition;
        using var other = new DaprClientBuilder().UseGrpcEndpoint($"http://127.0.0.1:{two.GrpcPort}").UseHttpEndpoint($"http://127.0.0.1:{two.HttpPort}").Build();
        await dapr.SaveStateAsync("store", "mine", 1, cancellationToken: Token);
        await dapr.SaveStateAsync("shared", "ours", 2, cancellationToken: Token);

        Assert.Equal(0, await other.GetStateAsync<int>("store", "mine", cancellationToken: Token));
        Assert.Equal(2, await other.GetStateAsync<int>("shared", "ours", cancellationToken: Token));
    }

    [Theory]
    [InlineData("""[{"key":"a||b","value":1}]""", 400, "ERR_MALFORMED_REQUEST")]
    [InlineData("""[{"key":"","value":1}]""", 400, "ERR_MALFORMED_REQUEST")]
    [InlineData("""{"key":"a"}""", 400, "ERR_MALFORMED_REQUEST")]
    [InlineData("""[1]""", 400, "ERR_MALFORMED_REQUEST")]
    [InlineData("""[{"key":""", 400, "ERR_MALFORMED_REQUEST")]
    [InlineData("""[{"key":"a","value":1,"metadata":{"ttlInSeconds":"soon"}}]""", 400, "ERR_MALFORMED_REQUEST")]
    [InlineData("""[{"key":"a","value":1,"options":{"concurrency":"maybe"}}]""", 400, "ERR_MALFORMED_REQUEST")]
    public async Task A_callers_mistake_is_a_400(string body, int status, string code)
    {
        using var response = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json(body), Token);

        await AssertErrorAsync(response, status, code);
    }

    [Fact]
    public async Task An_unknown_store_is_refused_over_both_protocols()
    {
        using var response = await Rig.Client.GetAsync($"{App.Http}/v1.0/state/nowhere/k", Token);
        var failure = await Assert.ThrowsAsync<DaprException>(() => dapr.GetStateAsync<int>("nowhere", "k", cancellationToken: Token));

        await AssertErrorAsync(response, 400, "ERR_STATE_STORE_NOT_FOUND");
        Assert.Equal(StatusCode.InvalidArgument, ((RpcException)failure.InnerException!).StatusCode);
    }

    /// <summary>Writes 1 and 2, and gives the etag of 1.</summary>
    private async Task<string> StaleEtagAsync(string key)
    {
        await dapr.SaveStateAsync("store", key, 1, cancellationToken: Token);
        var (_, stale) = await dapr.GetStateAndETagAsync<int>("store", key, cancellationToken: Token);
        await dapr.SaveStateAsync("store", key, 2, cancellationToken: Token);
        return stale;
    }

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    internal static async Task AssertErrorAsync(HttpResponseMessage response, int status, string code)
    {
        var body = await response.Content.ReadAsStringAsync(Token);
        Assert.Equal((status, true), ((int)response.StatusCode, body.Contains($"\"errorCode\":\"{code}\"", StringComparison.Ordinal)));
    }

    protected sealed record Sample(string A);

    private sealed record BulkItem(string Key, int? Data);
}

public sealed class InMemoryStateTests : StateContract
{
    protected override bool SharesOnePlace => false;

    protected override void AddStore(string name, string settings) => Rig.Component(name, "state.in-memory", metadata: settings);
}
