using System.Diagnostics.CodeAnalysis;
using Npgsql;
using NpgsqlTypes;

namespace RenderTrust.Sidecar.State;

internal sealed record PostgresStateOptions(
    string ConnectionString, string TablePrefix, string MetadataTable, TimeSpan Timeout, TimeSpan CleanupInterval);

/// <summary>
/// state.postgresql v2 in daprd's own layout, so that daprd can take over the same tables: table <c>{prefix}state</c>
/// and the metadata table with the migration level that daprd looks for before it creates anything.
/// </summary>
internal sealed partial class PostgresStateStore : IStateStore
{
    private readonly NpgsqlDataSource database;
    private readonly PostgresStateOptions options;
    private readonly string table;
    private readonly ILogger logger;
    private readonly TimeProvider time;
    private readonly CancellationTokenSource stopping = new();
    private Task cleanup = Task.CompletedTask;

    private PostgresStateStore(PostgresStateOptions options, TimeProvider time, ILogger logger)
    {
        this.options = options;
        this.time = time;
        this.logger = logger;
        table = options.TablePrefix + "state";
        database = NpgsqlDataSource.Create(PostgresConnectionString.ToNpgsql(options.ConnectionString));
    }

    /// <summary>The actor reminders live beside the actor state.</summary>
    public NpgsqlDataSource Database => database;

    public string TablePrefix => options.TablePrefix;

    /// <summary>In Npgsql's form, for a pool with other settings.</summary>
    public string ConnectionString => PostgresConnectionString.ToNpgsql(options.ConnectionString);

    public static async Task<PostgresStateStore> OpenAsync(PostgresStateOptions options, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var store = new PostgresStateStore(options, time, logger);
        try
        {
            await store.MigrateAsync(cancellationToken);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        if (options.CleanupInterval > TimeSpan.Zero)
        {
            store.cleanup = store.CleanUpLoopAsync(store.stopping.Token);
        }

        return store;
    }

    public async Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"SELECT key, value, etag, expires_at FROM {table} WHERE key = ANY($1) AND (expires_at IS NULL OR expires_at >= now())");
        command.Parameters.Add(new NpgsqlParameter { Value = keys.ToArray() });
        command.CommandTimeout = (int)options.Timeout.TotalSeconds;
        var found = new Dictionary<string, StateEntry>(keys.Count);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found[reader.GetString(0)] = new StateEntry(
                await reader.GetFieldValueAsync<byte[]>(1, cancellationToken),
                reader.GetGuid(2).ToString(),
                await reader.GetFieldValueAsync<DateTimeOffset?>(3, cancellationToken));
        }

        return [.. keys.Select(found.GetValueOrDefault)];
    }

    public async Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return await ExecuteAsync(connection, write, cancellationToken);
    }

    public async Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        foreach (var write in writes)
        {
            var outcome = await ExecuteAsync(connection, write, cancellationToken);
            if (outcome != StateOutcome.Done)
            {
                // Not the caller's token: an abandoned transaction would keep its row locks until the pool resets it.
                await transaction.RollbackAsync(CancellationToken.None);
                return outcome;
            }
        }

        await transaction.CommitAsync(cancellationToken);
        return StateOutcome.Done;
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await cleanup;
        await database.DisposeAsync();
        stopping.Dispose();
    }

    private async Task<StateOutcome> ExecuteAsync(NpgsqlConnection connection, StateWrite write, CancellationToken cancellationToken)
    {
        Guid? etag = null;
        if (write.Etag is not null)
        {
            if (!Guid.TryParse(write.Etag, out var parsed))
            {
                return StateOutcome.EtagInvalid;
            }

            etag = parsed;
        }

        await using var command = new NpgsqlCommand(Sql(write), connection) { CommandTimeout = (int)options.Timeout.TotalSeconds };
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = write.Key });
        if (write.Value is { } value)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value, NpgsqlDbType = NpgsqlDbType.Bytea });
            command.Parameters.Add(new NpgsqlParameter
            {
                Value = write.Ttl is { } ttl ? ttl.TotalSeconds : DBNull.Value,
                NpgsqlDbType = NpgsqlDbType.Double,
            });
        }

        if (etag is { } expected)
        {
            command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = expected });
        }

        var rows = await command.ExecuteNonQueryAsync(cancellationToken);
        if (rows == 1 || (write.Value is null && etag is null))
        {
            return StateOutcome.Done;
        }

        return etag is null ? StateOutcome.AlreadyExists : StateOutcome.EtagMismatch;
    }

    // A first write meets expired rows that the sweep has not taken yet: it may replace only those.
    private string Sql(StateWrite write) => (write.Value, write.Etag) switch
    {
        (null, null) => $"DELETE FROM {table} WHERE key = $1",
        (null, _) => $"DELETE FROM {table} WHERE key = $1 AND etag = $2 AND (expires_at IS NULL OR expires_at >= now())",
        (_, null) => $"""
            INSERT INTO {table} AS t (key, value, etag, expires_at)
            VALUES ($1, $2, gen_random_uuid(), now() + $3 * interval '1 second')
            ON CONFLICT (key) DO UPDATE SET
                value = EXCLUDED.value, etag = EXCLUDED.etag, updated_at = now(), expires_at = EXCLUDED.expires_at
            {(write.FirstWrite ? "WHERE t.expires_at IS NOT NULL AND t.expires_at < now()" : "")}
            """,
        _ => $"""
            UPDATE {table}
            SET value = $2, etag = gen_random_uuid(), updated_at = now(), expires_at = now() + $3 * interval '1 second'
            WHERE key = $1 AND etag = $4 AND (expires_at IS NULL OR expires_at >= now())
            """,
    };

    private async Task MigrateAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // Several hosts may start on one database at once; CREATE IF NOT EXISTS alone races.
        await RunAsync("SELECT pg_advisory_xact_lock(hashtext($1))", options.MetadataTable);
        await RunAsync($"CREATE TABLE IF NOT EXISTS {options.MetadataTable} (key text NOT NULL PRIMARY KEY, value text NOT NULL)");
        var levelKey = "migrations-state-v2-" + options.TablePrefix;
        await using (var read = new NpgsqlCommand($"SELECT value FROM {options.MetadataTable} WHERE key = $1", connection))
        {
            read.Parameters.Add(new NpgsqlParameter<string> { TypedValue = levelKey });
            if (await read.ExecuteScalarAsync(cancellationToken) is not null)
            {
                await transaction.CommitAsync(cancellationToken);
                return;
            }
        }

        await RunAsync($"""
            CREATE TABLE {table} (
                key text NOT NULL PRIMARY KEY,
                value bytea NOT NULL,
                etag uuid NOT NULL DEFAULT gen_random_uuid(),
                created_at timestamptz NOT NULL DEFAULT now(),
                updated_at timestamptz,
                expires_at timestamptz
            )
            """);
        await RunAsync($"CREATE INDEX ON {table} (expires_at)");
        await RunAsync($"INSERT INTO {options.MetadataTable} (key, value) VALUES ($1, '1')", levelKey);
        await transaction.CommitAsync(cancellationToken);
        LogMigrated(logger, table);

        async Task RunAsync(string sql, string? argument = null)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            if (argument is not null)
            {
                command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = argument });
            }

            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "The top of a loop that must outlive a database restart.")]
    private async Task CleanUpLoopAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(options.CleanupInterval, time, cancellationToken);
                await using var command = database.CreateCommand($"DELETE FROM {table} WHERE expires_at IS NOT NULL AND expires_at < now()");
                var removed = await command.ExecuteNonQueryAsync(cancellationToken);
                LogCleaned(logger, table, removed);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LogCleanupFailed(logger, e, table);
            }
        }
    }

    [LoggerMessage(LogLevel.Information, "State table {Table} was created in daprd's v2 layout")]
    private static partial void LogMigrated(ILogger logger, string table);

    [LoggerMessage(LogLevel.Debug, "State table {Table}: {Removed} expired rows were removed")]
    private static partial void LogCleaned(ILogger logger, string table, int removed);

    [LoggerMessage(LogLevel.Warning, "State table {Table}: expired rows could not be removed, the next round tries again")]
    private static partial void LogCleanupFailed(ILogger logger, Exception exception, string table);
}
