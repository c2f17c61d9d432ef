using RenderTrust.Sidecar.Configuration;
using StackExchange.Redis;

namespace RenderTrust.Sidecar.Tests;

public sealed class RedisStateTests(RedisServer redis) : StateContract
{
    // The other tests on this Redis keep to database 0.
    private const int Database = 5;

    public override async ValueTask InitializeAsync()
    {
        await using var connection = await ConnectAsync();
        await connection.GetDatabase(Database).ExecuteAsync("FLUSHDB");
        await base.InitializeAsync();
    }

    protected override void AddStore(string name, string settings) => Rig.Component(name, "state.redis", metadata:
        SidecarRig.Setting("redisHost", redis.Host) + ", " + SidecarRig.Setting("redisDB", $"{Database}") + (settings.Length > 0 ? ", " + settings : ""));

    [Fact]
    public async Task A_key_is_daprds_own_hash()
    {
        await Dapr.SaveStateAsync("store", "layout", 1, cancellationToken: Token);
        await Dapr.SaveStateAsync("store", "layout", 2, cancellationToken: Token);
        await Dapr.SaveStateAsync("store", "marked", 3, new() { Concurrency = global::Dapr.Client.ConcurrencyMode.FirstWrite }, cancellationToken: Token);
        await using var connection = await ConnectAsync();
        var database = connection.GetDatabase(Database);

        Assert.Equal(["data=2", "version=2"], await FieldsAsync(database, "one||layout"));
        Assert.Equal(["data=3", "first-write=0", "version=1"], await FieldsAsync(database, "one||marked"));
    }

    [Fact]
    public async Task What_daprd_wrote_is_read_and_goes_on_from_its_version()
    {
        await using var connection = await ConnectAsync();
        var database = connection.GetDatabase(Database);
        await database.HashSetAsync("one||theirs", [new("data", "\"x\""), new("version", 41)]);
        await database.StringSetAsync("one||ancient", "\"old\"");
        var (value, etag) = await Dapr.GetStateAndETagAsync<string>("store", "theirs", cancellationToken: Token);

        Assert.Equal(("x", "41"), (value, etag));
        Assert.True(await Dapr.TrySaveStateAsync("store", "theirs", "y", etag, cancellationToken: Token));
        Assert.Equal("42", await database.HashGetAsync("one||theirs", "version"));
        Assert.Equal("old", await Dapr.GetStateAsync<string>("store", "ancient", cancellationToken: Token));
        await Dapr.SaveStateAsync("store", "ancient", "new", cancellationToken: Token);
        Assert.Equal("new", await Dapr.GetStateAsync<string>("store", "ancient", cancellationToken: Token));
    }

    [Fact]
    public async Task After_a_first_write_only_the_right_etag_writes()
    {
        await Dapr.SaveStateAsync("store", "first", 1, new() { Concurrency = global::Dapr.Client.ConcurrencyMode.FirstWrite }, cancellationToken: Token);
        using var plain = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json("""[{"key":"first","value":2}]"""), Token);
        var (_, etag) = await Dapr.GetStateAndETagAsync<int>("store", "first", cancellationToken: Token);

        await AssertErrorAsync(plain, 500, "ERR_STATE_SAVE");
        Assert.True(await Dapr.TrySaveStateAsync("store", "first", 3, etag, cancellationToken: Token));
        await Dapr.DeleteStateAsync("store", "first", cancellationToken: Token);
        await Dapr.SaveStateAsync("store", "first", 4, cancellationToken: Token);
    }

    [Fact]
    public async Task A_write_that_names_last_write_looks_at_no_etag()
    {
        await Dapr.SaveStateAsync("store", "last", 1, cancellationToken: Token);
        await Dapr.SaveStateAsync("store", "last", 2, cancellationToken: Token);
        using var saved = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store",
            Json("""[{"key":"last","value":3,"etag":"1","options":{"concurrency":"last-write"}}]"""), Token);

        Assert.Equal(System.Net.HttpStatusCode.NoContent, saved.StatusCode);
    }

    [Fact]
    public async Task A_component_may_give_every_key_an_expiry()
    {
        await using var rig = new SidecarRig();
        rig.Component("brief", "state.redis", metadata: string.Join(", ",
            SidecarRig.Setting("redisHost", redis.Host), SidecarRig.Setting("redisDB", $"{Database}"), SidecarRig.Setting("ttlInSeconds", "1000")));
        var app = rig.AddApp("one", withPort: false);
        await rig.StartAsync();
        using var saved = await rig.Client.PostAsync($"{app.Http}/v1.0/state/brief",
            Json("""[{"key":"a","value":1},{"key":"b","value":1,"metadata":{"ttlInSeconds":"-1"}}]"""), Token);
        await using var connection = await ConnectAsync();
        var database = connection.GetDatabase(Database);

        Assert.InRange(((await database.KeyTimeToLiveAsync("one||a"))!).Value.TotalSeconds, 1, 1000);
        Assert.Null(await database.KeyTimeToLiveAsync("one||b"));
    }

    [Fact]
    public async Task A_redis_that_is_not_there_is_named_at_the_start()
    {
        await using var rig = new SidecarRig();
        rig.Component("gone", "state.redis", metadata: SidecarRig.Setting("redisHost", $"127.0.0.1:{TestKit.TestPorts.Free()}"));
        rig.AddApp("one", withPort: false);
        var refused = await Assert.ThrowsAsync<ConfigurationException>(() => rig.StartAsync());

        Assert.Contains("redisHost", refused.Message, StringComparison.Ordinal);
    }

    private static async Task<IEnumerable<string>> FieldsAsync(IDatabase database, string key) =>
        (await database.HashGetAllAsync(key)).Select(field => $"{field.Name}={field.Value}").Order(StringComparer.Ordinal);

    private Task<ConnectionMultiplexer> ConnectAsync() => ConnectionMultiplexer.ConnectAsync(redis.Host + ",allowAdmin=true");
}
