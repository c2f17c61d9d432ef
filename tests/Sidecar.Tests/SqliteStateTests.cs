using Microsoft.Data.Sqlite;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Tests;

public sealed class SqliteStateTests : StateContract
{
    protected override int ForeignEtagStatus => 409;

    private string File => Path.Combine(Rig.Root, "state.db");

    protected override void AddStore(string name, string settings) => Rig.Component(name, "state.sqlite", metadata:
        SidecarRig.Setting("connectionString", File) + (settings.Length > 0 ? ", " + settings : ""));

    [Fact]
    public async Task The_table_is_daprds_own_layout()
    {
        await Dapr.SaveStateAsync("store", "bytes", 1, cancellationToken: Token);
        using var saved = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json("""[{"key":"json","value":{"a": 1}}]"""), Token);

        Assert.Equal(
            "key TEXT, value TEXT, is_binary BOOLEAN, etag TEXT, expiration_time TIMESTAMP, update_time TIMESTAMP",
            await ScalarAsync("SELECT group_concat(name || ' ' || type, ', ') FROM pragma_table_info('state')"));
        Assert.Equal("1", await ScalarAsync("SELECT value FROM metadata WHERE key = 'migrations'"));
        Assert.Equal("1 MQ==", await ScalarAsync("SELECT is_binary || ' ' || value FROM state WHERE key = 'one||bytes'"));
        Assert.Equal("""0 {"a": 1}""", await ScalarAsync("SELECT is_binary || ' ' || value FROM state WHERE key = 'one||json'"));
    }

    [Fact]
    public async Task What_daprd_wrote_is_read_and_replaced()
    {
        await ScalarAsync("""
            INSERT INTO state (key, value, is_binary, etag, expiration_time)
            VALUES ('one||theirs', '"x"', 0, 'e', datetime(CURRENT_TIMESTAMP, '+1000 seconds')), ('one||late', '1', 0, 'e', datetime(CURRENT_TIMESTAMP, '-1 seconds'))
            """);
        var (value, etag) = await Dapr.GetStateAndETagAsync<string>("store", "theirs", cancellationToken: Token);

        Assert.Equal(("x", "e"), (value, etag));
        Assert.True(await Dapr.TrySaveStateAsync("store", "theirs", "y", etag, cancellationToken: Token));
        Assert.False(await Dapr.TrySaveStateAsync("store", "late", 2, "e", cancellationToken: Token));
        Assert.Equal(0, await Dapr.GetStateAsync<int>("store", "late", cancellationToken: Token));
    }

    [Fact]
    public async Task Values_outlive_the_host()
    {
        await Dapr.SaveStateAsync("store", "durable", "still here", cancellationToken: Token);
        await Rig.StopAsync();
        await Rig.StartAsync();

        Assert.Equal("still here", await Dapr.GetStateAsync<string>("store", "durable", cancellationToken: Token));
    }

    [Fact]
    public async Task A_folder_that_is_not_there_is_named_at_the_start()
    {
        await using var rig = new SidecarRig();
        rig.Component("gone", "state.sqlite", metadata: SidecarRig.Setting("connectionString", "nowhere/state.db"));
        rig.AddApp("one", withPort: false);
        var refused = await Assert.ThrowsAsync<ConfigurationException>(() => rig.StartAsync());

        Assert.Contains("connectionString", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("data.db", "/apps/one/data.db")]
    [InlineData("/var/data.db", "/var/data.db")]
    [InlineData("file:data.db?_pragma=busy_timeout(5000)", "/apps/one/data.db")]
    [InlineData("file:///var/data.db", "/var/data.db")]
    [InlineData(":memory:", ":memory:")]
    [InlineData("file::memory:", ":memory:")]
    [InlineData("file:x?mode=memory&cache=shared", ":memory:")]
    public void Connection_strings_are_daprds(string text, string source) =>
        Assert.Equal(source, SqliteConnectionString.ToDataSource(text, "/apps/one"));

    private async Task<string?> ScalarAsync(string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        await connection.OpenAsync(Token);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (await command.ExecuteScalarAsync(Token))?.ToString();
    }
}

public sealed class SqliteInMemoryStateTests : StateContract
{
    protected override int ForeignEtagStatus => 409;

    protected override bool SharesOnePlace => false;

    protected override void AddStore(string name, string settings) => Rig.Component(name, "state.sqlite", metadata:
        SidecarRig.Setting("connectionString", ":memory:") + (settings.Length > 0 ? ", " + settings : ""));
}
