using System.Globalization;
using Npgsql;

namespace RenderTrust.Sidecar.State;

internal sealed record PostgresStateOptions(
    string ConnectionString, PostgresLayout Layout, string MetadataTable, TimeSpan Timeout, TimeSpan CleanupInterval);

/// <summary>
/// state.postgresql in daprd's own layout, so that daprd can take over the same tables: the state table, and the metadata
/// table with the migration level that daprd looks for before it creates anything.
/// </summary>
internal sealed partial class PostgresStateStore : IStateStore
{
    private readonly NpgsqlDataSource database;
    private readonly PostgresStateOptions options;
    private readonly PostgresLayout layout;
    private readonly ILogger logger;
    private ExpirySweep? sweep;

    private PostgresStateStore(PostgresStateOptions options, ILogger logger)
    {
        this.options = options;
        this.logger = logger;
        layout = options.Layout;
        database = NpgsqlDataSource.Create(PostgresConnectionString.ToNpgsql(options.ConnectionString));
    }

    /// <summary>The actor reminders live beside the actor state.</summary>
    public NpgsqlDataSource Database => database;

    public string TablePrefix => layout.TablePrefix;

    /// <summary>In Npgsql's form, for a pool with other settings.</summary>
    public string ConnectionString => PostgresConnectionString.ToNpgsql(options.ConnectionString);

    public static async Task<PostgresStateStore> OpenAsync(PostgresStateOptions options, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var store = new PostgresStateStore(options, logger);
        try
        {
            await store.MigrateAsync(cancellationToken);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        store.sweep = new ExpirySweep(store.layout.Table, options.CleanupInterval, store.RemoveExpiredAsync, time, logger);
        return store;
    }

    public async Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(layout.SelectSql);
        command.Parameters.Add(new NpgsqlParameter { Value = keys.ToArray() });
        command.CommandTimeout = (int)options.Timeout.TotalSeconds;
        var found = new Dictionary<string, StateEntry>(keys.Count);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found[reader.GetString(0)] = layout.Read(reader);
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

    /// <summary>One transaction and one round trip, which fails as a whole with its first commands. None of the writes has an etag.</summary>
    public async Task TransactAsync(IEnumerable<NpgsqlBatchCommand> fence, IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        batch.Timeout = (int)options.Timeout.TotalSeconds;
        foreach (var command in fence)
        {
            batch.BatchCommands.Add(command);
        }

        foreach (var write in writes)
        {
            using var bound = new NpgsqlCommand();
            layout.TryBind(bound, write);
            var command = new NpgsqlBatchCommand(bound.CommandText);
            var parameters = bound.Parameters.ToArray();
            bound.Parameters.Clear();
            Array.ForEach(parameters, parameter => command.Parameters.Add(parameter));
            batch.BatchCommands.Add(command);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (sweep is not null)
        {
            await sweep.DisposeAsync();
        }

        await database.DisposeAsync();
    }

    private async Task<StateOutcome> ExecuteAsync(NpgsqlConnection connection, StateWrite write, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand { Connection = connection, CommandTimeout = (int)options.Timeout.TotalSeconds };
        if (!layout.TryBind(command, write))
        {
            return StateOutcome.EtagInvalid;
        }

        var rows = await command.ExecuteNonQueryAsync(cancellationToken);
        if (rows == 1 || (write.Value is null && write.Etag is null))
        {
            return StateOutcome.Done;
        }

        return write.Etag is null ? StateOutcome.AlreadyExists : StateOutcome.EtagMismatch;
    }

    private async Task MigrateAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // Several hosts may start on one database at once; CREATE IF NOT EXISTS alone races.
        await RunAsync("SELECT pg_advisory_xact_lock(hashtext($1))", options.MetadataTable);
        await RunAsync($"CREATE TABLE IF NOT EXISTS {options.MetadataTable} (key text NOT NULL PRIMARY KEY, value text NOT NULL)");
        var level = await ReadLevelAsync(connection, cancellationToken);
        for (var i = level; i < layout.Migrations.Count; i++)
        {
            await RunAsync(layout.Migrations[i]);
            await RunAsync($"""
                INSERT INTO {options.MetadataTable} (key, value) VALUES ($1, $2)
                ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value
                """, layout.LevelKey, (i + 1).ToString(CultureInfo.InvariantCulture));
        }

        // A table of that name and another layout would pass until the first caller comes; read it once, and undo all else.
        await using (var probe = new NpgsqlCommand(layout.SelectSql, connection))
        {
            probe.Parameters.Add(new NpgsqlParameter { Value = Array.Empty<string>() });
            await probe.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        if (level < layout.Migrations.Count)
        {
            LogMigrated(logger, layout.Table, level, layout.Migrations.Count);
        }

        async Task RunAsync(string sql, params string[] arguments)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (var argument in arguments)
            {
                command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = argument });
            }

            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    // v1 keeps one level for all its tables: a second table would never be made if only the level counted.
    private async Task<int> ReadLevelAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var read = new NpgsqlCommand($"SELECT value FROM {options.MetadataTable} WHERE key = $1 AND to_regclass($2) IS NOT NULL", connection);
        read.Parameters.Add(new NpgsqlParameter<string> { TypedValue = layout.LevelKey });
        read.Parameters.Add(new NpgsqlParameter<string> { TypedValue = layout.Table });
        return await read.ExecuteScalarAsync(cancellationToken) is string text ? int.Parse(text, CultureInfo.InvariantCulture) : 0;
    }

    private async Task<int> RemoveExpiredAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"DELETE FROM {layout.Table} WHERE {layout.ExpiryColumn} < now()");
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(LogLevel.Information, "State table {Table} was brought from level {From} to {To} of daprd's layout")]
    private static partial void LogMigrated(ILogger logger, string table, int from, int to);
}
