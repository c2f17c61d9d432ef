using RenderTrust.Sidecar.Configuration;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

public sealed class PostgresStateTests(TestDatabase database) : StateContract, IClassFixture<TestDatabase>
{
    internal static string Libpq(TestDatabase database)
    {
        var npgsql = new Npgsql.NpgsqlConnectionStringBuilder(database.AdminConnectionString);
        return $"host={npgsql.Host} port={npgsql.Port} user={npgsql.Username} database={npgsql.Database}";
    }

    protected override void AddStore(string name, string settings)
    {
        // libpq's form, as daprd would be given it.
        Rig.Component(name, "state.postgresql", "v2", SidecarRig.Setting("connectionString", Libpq(database)) + (settings.Length > 0 ? ", " + settings : ""));
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

public sealed class PostgresV1StateTests(TestDatabase database) : StateContract, IClassFixture<TestDatabase>
{
    protected override bool KeepsJsonAsWritten => false;

    protected override void AddStore(string name, string settings) => Rig.Component(name, "state.postgresql", "v1",
        SidecarRig.Setting("connectionString", PostgresStateTests.Libpq(database)) + (settings.Length > 0 ? ", " + settings : ""));

    [Fact]
    public async Task The_table_is_daprds_own_layout()
    {
        await Dapr.SaveStateAsync("store", "bytes", 1, cancellationToken: Token);
        using var saved = await Rig.Client.PostAsync($"{App.Http}/v1.0/state/store", Json("""[{"key":"json","value":{"a":[1]}}]"""), Token);
        var source = database.Admin();
        await using var columns = source.CreateCommand(
            "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'state'");
        await using var level = source.CreateCommand("SELECT value FROM dapr_metadata WHERE key = 'migrations'");
        await using var bytes = source.CreateCommand("SELECT isbinary::text || ' ' || (value #>> '{}') FROM state WHERE key = 'one||bytes'");
        await using var json = source.CreateCommand("SELECT isbinary::text || ' ' || (value #>> '{a,0}') FROM state WHERE key = 'one||json'");

        Assert.Equal(
            "key text, value jsonb, isbinary boolean, insertdate timestamp with time zone, updatedate timestamp with time zone, expiredate timestamp with time zone",
            await columns.ExecuteScalarAsync(Token));
        Assert.Equal("2", await level.ExecuteScalarAsync(Token));
        Assert.Equal("true MQ==", await bytes.ExecuteScalarAsync(Token));
        Assert.Equal("false 1", await json.ExecuteScalarAsync(Token));
    }

    [Fact]
    public async Task A_row_that_daprd_wrote_is_read_and_its_etag_is_the_rows_version()
    {
        await using var write = database.Admin().CreateCommand("""
            INSERT INTO state (key, value, isbinary) VALUES ('one||theirs', '{"a": "x"}', false)
            ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value RETURNING xmin::text
            """);
        var version = (string?)await write.ExecuteScalarAsync(Token);
        var (value, etag) = await Dapr.GetStateAndETagAsync<Sample>("store", "theirs", cancellationToken: Token);

        Assert.Equal(("x", version), (value.A, etag));
        Assert.True(await Dapr.TrySaveStateAsync("store", "theirs", new Sample("y"), etag, cancellationToken: Token));
    }

    [Fact]
    public async Task A_second_table_is_made_beside_the_first()
    {
        await using var rig = new SidecarRig();
        rig.Component("other", "state.postgresql", "v1",
            SidecarRig.Setting("connectionString", PostgresStateTests.Libpq(database)) + ", " + SidecarRig.Setting("tableName", "other_state"));
        var app = rig.AddApp("one", withPort: false);
        await rig.StartAsync();
        using var saved = await rig.Client.PostAsync($"{app.Http}/v1.0/state/other", Json("""[{"key":"k","value":1}]"""), Token);

        Assert.Equal(System.Net.HttpStatusCode.NoContent, saved.StatusCode);
    }

    [Fact]
    public async Task A_table_of_the_other_version_is_refused_at_the_start()
    {
        await using var rig = new SidecarRig();
        rig.Component("other", "state.postgresql", "v2", SidecarRig.Setting("connectionString", PostgresStateTests.Libpq(database)));
        rig.AddApp("one", withPort: false);
        var refused = await Assert.ThrowsAsync<ConfigurationException>(() => rig.StartAsync());

        Assert.Contains("state", refused.Message, StringComparison.Ordinal);
    }
}
