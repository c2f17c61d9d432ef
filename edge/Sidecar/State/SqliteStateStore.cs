using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace RenderTrust.Sidecar.State;

/// <param name="DataSource">A path, or <c>:memory:</c> for a database that ends with the host.</param>
internal sealed record SqliteStateOptions(
    string DataSource, string Table, string MetadataTable, TimeSpan Timeout, TimeSpan BusyTimeout, bool UseWal, TimeSpan CleanupInterval)
{
    public bool IsInMemory => DataSource == SqliteConnectionString.InMemory;
}

/// <summary>
/// state.sqlite in daprd's layout: JSON as text, bytes as base64 text marked by <c>is_binary</c>, etags as UUIDs, expiry
/// in whole seconds. Writers of this host take turns here; those of other processes are waited for by SQLite.
/// </summary>
internal sealed partial class SqliteStateStore : IStateStore
{
    private const string Live = "(expiration_time IS NULL OR expiration_time > CURRENT_TIMESTAMP)";

    private readonly SqliteStateOptions options;
    private readonly string connectionString;
    private readonly ILogger logger;
    private readonly SemaphoreSlim writing = new(1);

    // The database of :memory: lives as long as one connection to it is open.
    private readonly SqliteConnection anchor;
    private ExpirySweep? sweep;

    private SqliteStateStore(SqliteStateOptions options, ILogger logger)
    {
        this.options = options;
        this.logger = logger;
        connectionString = new SqliteConnectionStringBuilder
        {
            DataSource = options.IsInMemory ? $"dapr-{Guid.CreateVersion7():N}" : options.DataSource,
            Mode = options.IsInMemory ? SqliteOpenMode.Memory : SqliteOpenMode.ReadWriteCreate,
            Cache = options.IsInMemory ? SqliteCacheMode.Shared : SqliteCacheMode.Default,
            // How long a command tries again while another process has the database locked.
            DefaultTimeout = (int)Math.Ceiling(Math.Max(1, Math.Min(options.BusyTimeout.TotalSeconds, options.Timeout.TotalSeconds))),
        }.ConnectionString;
        anchor = new SqliteConnection(connectionString);
    }

    public static async Task<SqliteStateStore> OpenAsync(SqliteStateOptions options, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var store = new SqliteStateStore(options, logger);
        try
        {
            await store.anchor.OpenAsync(cancellationToken);
            await store.MigrateAsync(cancellationToken);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        store.sweep = new ExpirySweep(options.Table, options.CleanupInterval, store.RemoveExpiredAsync, time, logger);
        return store;
    }

    public async Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        await using var connection = new SqliteConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = $"""
            SELECT key, value, is_binary, etag, expiration_time FROM {options.Table}
            WHERE key IN (SELECT value FROM json_each($keys)) AND {Live}
            """;
        command.Parameters.AddWithValue("$keys", JsonSerializer.Serialize(keys));
        var found = new Dictionary<string, StateEntry>(keys.Count);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found[reader.GetString(0)] = Read(reader);
        }

        return [.. keys.Select(found.GetValueOrDefault)];
    }

    public Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken) => TransactAsync([write], cancellationToken);

    public async Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        await writing.WaitAsync(cancellationToken);
        try
        {
            await using var connection = new SqliteConnection(connectionString);
            await connection.OpenAsync(cancellationToken);
            await using var transaction = (SqliteTransaction)await connection.BeginTransactionAsync(cancellationToken);
            foreach (var write in writes)
            {
                await using var command = connection.CreateCommand();
                command.Transaction = transaction;
                Bind(command, write);
                if (await command.ExecuteNonQueryAsync(cancellationToken) == 0 && !(write is { Value: null, Etag: null }))
                {
                    // daprd calls a first write that came second a conflict here, too. What was written is undone with the transaction.
                    return StateOutcome.EtagMismatch;
                }
            }

            await transaction.CommitAsync(cancellationToken);
            return StateOutcome.Done;
        }
        finally
        {
            writing.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (sweep is not null)
        {
            await sweep.DisposeAsync();
        }

        SqliteConnection.ClearPool(anchor);
        await anchor.DisposeAsync();
        writing.Dispose();
    }

    private static StateEntry Read(SqliteDataReader row)
    {
        var text = row.GetString(1);
        return new StateEntry(
            row.GetBoolean(2) ? Convert.FromBase64String(text) : Encoding.UTF8.GetBytes(text),
            row.GetString(3),
            row.IsDBNull(4) ? null : DateTimeOffset.Parse(row.GetString(4), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal));
    }

    private void Bind(SqliteCommand command, StateWrite write)
    {
        command.CommandText = Sql(write);
        command.Parameters.AddWithValue("$key", write.Key);
        if (write.Etag is not null)
        {
            command.Parameters.AddWithValue("$expected", write.Etag);
        }

        if (write.Value is { } value)
        {
            command.Parameters.AddWithValue("$value", write.IsJson ? Encoding.UTF8.GetString(value.Span) : Convert.ToBase64String(value.Span));
            command.Parameters.AddWithValue("$binary", !write.IsJson);
            command.Parameters.AddWithValue("$etag", Guid.CreateVersion7().ToString());
            command.Parameters.AddWithValue("$after", write.Ttl is { } ttl
                ? string.Create(CultureInfo.InvariantCulture, $"+{(long)Math.Ceiling(ttl.TotalSeconds)} seconds")
                : DBNull.Value);
        }
    }

    // datetime() of a null modifier is null: no expiry. A first write may replace what has expired and was not yet removed.
    private string Sql(StateWrite write) => (write.Value, write.Etag) switch
    {
        (null, null) => $"DELETE FROM {options.Table} WHERE key = $key",
        (null, _) => $"DELETE FROM {options.Table} WHERE key = $key AND etag = $expected AND {Live}",
        (_, null) => $"""
            INSERT INTO {options.Table} (key, value, is_binary, etag, expiration_time, update_time)
            VALUES ($key, $value, $binary, $etag, datetime(CURRENT_TIMESTAMP, $after), CURRENT_TIMESTAMP)
            ON CONFLICT (key) DO UPDATE SET
                value = excluded.value, is_binary = excluded.is_binary, etag = excluded.etag,
                expiration_time = excluded.expiration_time, update_time = excluded.update_time
            {(write.FirstWrite ? "WHERE expiration_time IS NOT NULL AND expiration_time <= CURRENT_TIMESTAMP" : "")}
            """,
        _ => $"""
            UPDATE {options.Table}
            SET value = $value, is_binary = $binary, etag = $etag, expiration_time = datetime(CURRENT_TIMESTAMP, $after), update_time = CURRENT_TIMESTAMP
            WHERE key = $key AND etag = $expected AND {Live}
            """,
    };

    private async Task MigrateAsync(CancellationToken cancellationToken)
    {
        if (options is { UseWal: true, IsInMemory: false })
        {
            // Stays with the file: readers then never wait for a writer.
            await RunAsync("PRAGMA journal_mode = WAL", null);
        }

        await using var transaction = (SqliteTransaction)await anchor.BeginTransactionAsync(cancellationToken);
        await RunAsync($"CREATE TABLE IF NOT EXISTS {options.MetadataTable} (key text NOT NULL PRIMARY KEY, value text NOT NULL)", transaction);
        await RunAsync($"""
            CREATE TABLE IF NOT EXISTS {options.Table} (
                key TEXT NOT NULL PRIMARY KEY,
                value TEXT NOT NULL,
                is_binary BOOLEAN NOT NULL,
                etag TEXT NOT NULL,
                expiration_time TIMESTAMP DEFAULT NULL,
                update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
            )
            """, transaction);
        await RunAsync($"INSERT INTO {options.MetadataTable} (key, value) VALUES ('migrations', '1') ON CONFLICT (key) DO NOTHING", transaction);

        // A table of that name and another layout is found out now, not by the first caller.
        await RunAsync($"SELECT key, value, is_binary, etag, expiration_time, update_time FROM {options.Table} LIMIT 0", transaction);
        await transaction.CommitAsync(cancellationToken);
        LogOpened(logger, options.DataSource, options.Table);

        async Task RunAsync(string sql, SqliteTransaction? within)
        {
            await using var command = anchor.CreateCommand();
            command.CommandText = sql;
            command.Transaction = within;
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    private async Task<int> RemoveExpiredAsync(CancellationToken cancellationToken)
    {
        await writing.WaitAsync(cancellationToken);
        try
        {
            await using var connection = new SqliteConnection(connectionString);
            await connection.OpenAsync(cancellationToken);
            await using var command = connection.CreateCommand();
            command.CommandText = $"DELETE FROM {options.Table} WHERE expiration_time <= CURRENT_TIMESTAMP";
            return await command.ExecuteNonQueryAsync(cancellationToken);
        }
        finally
        {
            writing.Release();
        }
    }

    [LoggerMessage(LogLevel.Information, "State table {Table} of {DataSource} is open in daprd's layout")]
    private static partial void LogOpened(ILogger logger, string dataSource, string table);
}
