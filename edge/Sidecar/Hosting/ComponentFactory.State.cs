using Microsoft.Data.Sqlite;
using Npgsql;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.State;
using StackExchange.Redis;

namespace RenderTrust.Sidecar.Hosting;

internal sealed partial class ComponentFactory
{
    private static StateComponent Wrap(ComponentDefinition definition, ComponentSettings settings, AppDefinition app, IStateStore store)
    {
        settings.RefuseAny("primaryEncryptionKey", "secondaryEncryptionKey", "outboxPublishPubsub", "outboxPublishTopic", "outboxPubsub", "outboxDiscardWhenMissingState");
        var strategy = settings.Text("keyPrefix");
        if (strategy?.Contains("||", StringComparison.Ordinal) is true)
        {
            throw settings.Error("keyPrefix", "may not contain '||'", strategy, "use appid, name, namespace, none or a plain word");
        }

        return new StateComponent(definition.Name, store, StateComponent.PrefixFor(strategy, app.AppId, definition.Name), settings.Flag("actorStateStore"));
    }

    private T Shared<T>(string key, Func<T> create) where T : IStateStore
    {
        if (!stores.TryGetValue(key, out var store))
        {
            store = create();
            stores[key] = store;
            owned.Add(store);
        }

        return (T)store;
    }

    private async Task<IStateStore> OpenPostgresAsync(ComponentDefinition definition, ComponentSettings settings, CancellationToken cancellationToken)
    {
        // The version first: what else may be written depends on it.
        var layout = ReadLayout(definition, settings);
        var options = new PostgresStateOptions(
            ReadConnectionString(settings),
            layout,
            settings.Identifier("metadataTableName") ?? "dapr_metadata",
            settings.Limit("timeout", TimeSpan.FromSeconds(1)) ?? settings.Limit("timeoutInSeconds", TimeSpan.FromSeconds(1)) ?? TimeSpan.FromSeconds(20),
            ReadCleanupInterval(settings) ?? TimeSpan.FromHours(1));
        var key = $"postgres|{options.ConnectionString}|{definition.Version}|{options.Layout.Table}|{options.MetadataTable}";
        if (stores.TryGetValue(key, out var open))
        {
            return open;
        }

        try
        {
            var store = await PostgresStateStore.OpenAsync(options, time, loggers.CreateLogger<PostgresStateStore>(), cancellationToken);
            return Shared(key, () => store);
        }
        catch (PostgresException e)
        {
            throw settings.Error("connectionString", $"opens a database that refuses our tables ({e.MessageText}, SQLSTATE {e.SqlState})", null,
                "let its role create tables in the first schema of its search_path");
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or System.Net.Sockets.SocketException)
        {
            throw settings.Error("connectionString", $"cannot be connected to ({e.Message})", null, "start the database or correct the address");
        }
    }

    private static string ReadConnectionString(ComponentSettings settings)
    {
        var text = settings.Text("connectionString");
        try
        {
            var builder = new NpgsqlConnectionStringBuilder(text is null ? "" : PostgresConnectionString.ToNpgsql(text));
            builder.Host = settings.Text("hostaddr") ?? settings.Text("host") ?? builder.Host;
            builder.Port = settings.Number("port", 1, 65_535) ?? builder.Port;
            builder.Database = settings.Text("database") ?? builder.Database;
            builder.Username = settings.Text("user") ?? builder.Username;
            builder.Password = settings.Text("password") ?? builder.Password;
            builder.MaxPoolSize = settings.Number("maxConns", most: 10_000) is { } max and > 0 ? max : builder.MaxPoolSize;
            if (string.IsNullOrEmpty(builder.Host))
            {
                throw settings.Error("connectionString", "names no host", null, "write for example host=127.0.0.1 port=5432 user=dapr database=dapr");
            }

            return builder.ConnectionString;
        }
        catch (Exception e) when (e is ArgumentException or FormatException or UriFormatException)
        {
            throw settings.Error("connectionString", $"is not a Postgres connection string ({e.Message})", null,
                "write host=.. port=.. user=.. database=.., a postgres:// URL, or Host=..;Username=..");
        }
    }

    private static PostgresLayout ReadLayout(ComponentDefinition definition, ComponentSettings settings) => definition.Version switch
    {
        "v1" => new PostgresLayoutV1(settings.Identifier("tableName") ?? "state"),
        "v2" => new PostgresLayoutV2(settings.Identifier("tablePrefix") ?? ""),
        var other => throw new ConfigurationException(definition.File, definition.TypeLine, "spec.version", "is not a version of this component", other, "write v2, or v1 for its older tables"),
    };

    private static TimeSpan? ReadCleanupInterval(ComponentSettings settings) =>
        settings.Duration("cleanupInterval", TimeSpan.FromSeconds(1)) ?? settings.Duration("cleanupIntervalInSeconds", TimeSpan.FromSeconds(1));

    private async Task<IStateStore> OpenRedisStateAsync(ComponentSettings settings)
    {
        settings.RefuseAny("queryIndexes");
        var connection = RedisSettings.Read(settings, "dapr-state");
        connection.ConnectTimeout = Milliseconds(settings.Duration("dialTimeout", TimeSpan.FromMilliseconds(1)), connection.ConnectTimeout);
        connection.AsyncTimeout = Milliseconds(settings.Duration("readTimeout", TimeSpan.FromMilliseconds(1)), connection.AsyncTimeout);
        var timeToLive = settings.Number("ttlInSeconds") is { } seconds and > 0 ? TimeSpan.FromSeconds(seconds) : (TimeSpan?)null;

        // The password is part of it: two components may log in with different rights.
        var key = $"redis|{connection.ToString(includePassword: true)}|{timeToLive}";
        if (stores.TryGetValue(key, out var open))
        {
            return open;
        }

        try
        {
            var store = await RedisStateStore.OpenAsync(connection, timeToLive, time);
            return Shared(key, () => store);
        }
        catch (RedisConnectionException e)
        {
            throw RedisSettings.Unreachable(settings, e);
        }
    }

    private static int Milliseconds(TimeSpan? duration, int fallback) =>
        duration is { } given && given > TimeSpan.Zero ? (int)Math.Min(int.MaxValue, Math.Max(1, given.TotalMilliseconds)) : fallback;

    private async Task<IStateStore> OpenSqliteAsync(ComponentDefinition definition, ComponentSettings settings, AppDefinition app, CancellationToken cancellationToken)
    {
        if (settings.Text("connectionString") is not { Length: > 0 } text)
        {
            throw settings.Error("connectionString", "is missing", null, "write the path of a database file, or :memory:");
        }

        var options = new SqliteStateOptions(
            SqliteConnectionString.ToDataSource(text, app.Directory),
            settings.Identifier("tableName") ?? "state",
            settings.Identifier("metadataTableName") ?? "metadata",
            settings.Limit("timeout", TimeSpan.FromSeconds(1)) ?? settings.Limit("timeoutInSeconds", TimeSpan.FromSeconds(1)) ?? TimeSpan.FromSeconds(20),
            settings.Duration("busyTimeout", TimeSpan.FromMilliseconds(1)) ?? TimeSpan.FromSeconds(2),
            !settings.Flag("disableWAL"),
            ReadCleanupInterval(settings) ?? TimeSpan.Zero);
        var key = $"sqlite|{(options.IsInMemory ? $"{definition.File}|{definition.Name}" : options.DataSource)}|{options.Table}|{options.MetadataTable}";
        if (stores.TryGetValue(key, out var open))
        {
            return open;
        }

        try
        {
            var store = await SqliteStateStore.OpenAsync(options, time, loggers.CreateLogger<SqliteStateStore>(), cancellationToken);
            return Shared(key, () => store);
        }
        catch (SqliteException e)
        {
            throw settings.Error("connectionString", $"is not a database that can be used ({e.Message})", text, "name a file in a folder that exists and that the sidecar may write");
        }
    }
}
