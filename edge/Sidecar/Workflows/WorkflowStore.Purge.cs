using Npgsql;
using NpgsqlTypes;

namespace RenderTrust.Sidecar.Workflows;

internal sealed partial class WorkflowStore
{
    /// <summary>All or nothing: without force nothing goes when one of them has not ended.</summary>
    /// <returns>How many there are, and the keys of those removed.</returns>
    public async Task<(int Found, IReadOnlyList<Guid> Gone)> PurgeAsync(InstanceAddress address, bool recursive, bool force, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var found = new List<(Guid Key, bool HasEnded)>();
        await using (var find = new NpgsqlCommand(
            $"""
            WITH RECURSIVE tree AS (
                SELECT key FROM {Schema.Instances} WHERE app_id = $1 AND instance_id = $2
                UNION ALL
                SELECT c.key FROM {Schema.Instances} c JOIN tree t ON c.parent_key = t.key WHERE $3)
            SELECT key, completed IS NOT NULL FROM {Schema.Instances} WHERE key IN (SELECT key FROM tree) ORDER BY key FOR UPDATE
            """, connection))
        {
            find.Parameters.Add(new NpgsqlParameter<string> { TypedValue = address.AppId });
            find.Parameters.Add(new NpgsqlParameter<string> { TypedValue = address.InstanceId });
            find.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = recursive });
            await using var reader = await find.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                found.Add((reader.GetGuid(0), reader.GetBoolean(1)));
            }
        }

        if (found.Count == 0 || (!force && found.Exists(instance => !instance.HasEnded)))
        {
            return (found.Count, []);
        }

        Guid[] keys = [.. found.Select(instance => instance.Key)];
        await RemoveAsync(connection, keys, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return (found.Count, keys);
    }

    /// <returns>The keys of those removed.</returns>
    public async Task<IReadOnlyList<Guid>> PurgeAsync(
        string appId, DateTimeOffset? from, DateTimeOffset? to, short[] statuses, bool recursive, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var keys = new List<Guid>();
        await using (var find = new NpgsqlCommand(
            $"""
            WITH RECURSIVE tree AS (
                SELECT key FROM {Schema.Instances}
                WHERE app_id = $1 AND completed IS NOT NULL AND ($2::timestamptz IS NULL OR created_at >= $2) AND ($3::timestamptz IS NULL OR created_at < $3)
                    AND (cardinality($4::smallint[]) = 0 OR status = ANY($4))
                UNION
                SELECT c.key FROM {Schema.Instances} c JOIN tree t ON c.parent_key = t.key WHERE $5 AND c.completed IS NOT NULL)
            SELECT key FROM {Schema.Instances} WHERE key IN (SELECT key FROM tree) ORDER BY key FOR UPDATE
            """, connection))
        {
            find.Parameters.Add(new NpgsqlParameter<string> { TypedValue = appId });
            find.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.TimestampTz, Value = from is { } since ? since : DBNull.Value });
            find.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.TimestampTz, Value = to is { } until ? until : DBNull.Value });
            find.Parameters.Add(new NpgsqlParameter<short[]> { TypedValue = statuses });
            find.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = recursive });
            await using var reader = await find.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                keys.Add(reader.GetGuid(0));
            }
        }

        await RemoveAsync(connection, [.. keys], cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return keys;
    }

    private async Task RemoveAsync(NpgsqlConnection connection, Guid[] keys, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        foreach (var table in (string[])[Schema.Inbox, Schema.History, Schema.Instances])
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand($"DELETE FROM {table} WHERE key = ANY($1)") { Parameters = { new NpgsqlParameter<Guid[]> { TypedValue = keys } } });
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}
