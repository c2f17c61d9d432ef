using System.Net;
using System.Net.Http.Json;
using System.Text;
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

    public virtual async ValueTask InitializeAsync()
    {
        App = Rig.AddApp("one", withPort: false);
        Rig.AddApp("two", withPort: false);
        AddStore("store", "");
        AddStore("shared", SidecarRig.Setting("keyPrefix", "none"));
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
        Assert.Equal("""{"b": 1,  "a":"ä"}""", await read.Content.ReadAsStringAsync(Token));
        Assert.NotEmpty(read.Headers.NonValidated["ETag"].ToString());
        Assert.Equal("ä", (await dapr.GetStateAsync<Sample>("store", "k", cancellationToken: Token)).A);
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

        await AssertErrorAsync(response, 400, "ERR_STATE_SAVE");
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
        StateTransactionRequest[] operations =
        [
            new("kept", Encoding.UTF8.GetBytes("\"new\""), StateOperationType.Upsert),
            new("other", Encoding.UTF8.GetBytes("1"), StateOperationType.Upsert),
            new("missing", null, StateOperationType.Delete, etag: Guid.CreateVersion7().ToString()),
        ];
        await Assert.ThrowsAsync<DaprException>(() => dapr.ExecuteStateTransactionAsync("store", operations, cancellationToken: Token));

        Assert.Equal("old", await dapr.GetStateAsync<string>("store", "kept", cancellationToken: Token));
        Assert.Equal(0, await dapr.GetStateAsync<int>("store", "other", cancellationToken: Token));

        await dapr.ExecuteStateTransactionAsync("store", operations[..2], cancellationToken: Token);
        Assert.Equal("new", await dapr.GetStateAsync<string>("store", "kept", cancellationToken: Token));
    }

    [Fact]
    public async Task A_transaction_over_http_takes_upserts_and_deletes_only()
    {
        using var fine = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store/transaction", Json(
            """{"operations":[{"operation":"upsert","request":{"key":"a","value":1}},{"operation":"delete","request":{"key":"b"}}]}"""), Token);
        using var refused = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store/transaction", Json(
            """{"operations":[{"operation":"increment","request":{"key":"a"}}]}"""), Token);

        Assert.Equal(HttpStatusCode.NoContent, fine.StatusCode);
        await AssertErrorAsync(refused, 400, "ERR_MALFORMED_REQUEST");
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

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

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
    protected override void AddStore(string name, string settings) => Rig.Component(name, "state.in-memory", metadata: settings);
}

public sealed class PostgresStateTests(TestDatabase database) : StateContract, IClassFixture<TestDatabase>
{
    protected override void AddStore(string name, string settings)
    {
        // libpq's form, as daprd would be given it.
        var npgsql = new Npgsql.NpgsqlConnectionStringBuilder(database.AdminConnectionString);
        var text = $"host={npgsql.Host} port={npgsql.Port} user={npgsql.Username} database={npgsql.Database}";
        Rig.Component(name, "state.postgresql", "v2", SidecarRig.Setting("connectionString", text) + (settings.Length > 0 ? ", " + settings : ""));
    }

    [Fact]
    public async Task The_table_is_daprds_own_layout()
    {
        await Dapr.SaveStateAsync("store", "layout", 1, cancellationToken: Token);
        var source = database.Admin();
        await using var columns = source.CreateCommand(
            "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'state'");
        await using var level = source.CreateCommand("SELECT value FROM dapr_metadata WHERE key = 'migrations-state-v2-'");
        await using var row = source.CreateCommand("SELECT convert_from(value, 'UTF8') FROM state WHERE key = 'one||layout'");

        Assert.Equal(
            "key text, value bytea, etag uuid, created_at timestamp with time zone, updated_at timestamp with time zone, expires_at timestamp with time zone",
            await columns.ExecuteScalarAsync(Token));
        Assert.Equal("1", await level.ExecuteScalarAsync(Token));
        Assert.Equal("1", await row.ExecuteScalarAsync(Token));
    }

    [Fact]
    public async Task Values_outlive_the_host()
    {
        await Dapr.SaveStateAsync("store", "durable", "still here", cancellationToken: Token);
        await Rig.StopAsync();
        await Rig.StartAsync();

        Assert.Equal("still here", await Dapr.GetStateAsync<string>("store", "durable", cancellationToken: Token));
    }
}
