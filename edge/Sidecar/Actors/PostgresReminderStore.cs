using Npgsql;
using NpgsqlTypes;

namespace RenderTrust.Sidecar.Actors;

/// <summary>Reminders beside the actor state in Postgres, in a table of our own (daprd keeps them in its scheduler).</summary>
internal sealed class PostgresReminderStore(NpgsqlDataSource database, string tablePrefix) : IReminderStore
{
    private const string Selected = "app_id = $1 AND actor_type = $2 AND ($3 IS NULL OR actor_id = $3) AND ($4 IS NULL OR name = $4)";

    private readonly string table = tablePrefix + "rendertrust_reminders";

    public async Task CreateTableAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var guard = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtext($1))", connection))
        {
            guard.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table });
            await guard.ExecuteNonQueryAsync(cancellationToken);
        }

        // DDL that has nothing to do still takes locks, and two of them in turn: a host that fires reminders meanwhile would be a deadlock.
        await using (var find = new NpgsqlCommand("SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'retries_max')", connection))
        {
            find.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table });
            if ((bool)(await find.ExecuteScalarAsync(cancellationToken))!)
            {
                return;
            }
        }

        await using var create = new NpgsqlCommand($"""
            CREATE TABLE IF NOT EXISTS {table} (
                app_id text NOT NULL,
                actor_type text NOT NULL,
                actor_id text NOT NULL,
                name text NOT NULL,
                due_time text NOT NULL,
                period text NOT NULL,
                ttl text,
                data bytea,
                next_at timestamptz NOT NULL,
                period_span interval,
                repeats_left int,
                expires_at timestamptz,
                failures int NOT NULL DEFAULT 0,
                version uuid NOT NULL,
                PRIMARY KEY (app_id, actor_type, actor_id, name)
            );
            CREATE INDEX IF NOT EXISTS {table.Replace('.', '_')}_next_at ON {table} (next_at);
            ALTER TABLE {table}
                ADD COLUMN IF NOT EXISTS retry_interval interval NOT NULL DEFAULT '1 second',
                ADD COLUMN IF NOT EXISTS retries_max int DEFAULT 3
            """, connection);
        await create.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    public async Task<bool> SaveAsync(string appId, ActorCallback callback, ActorSchedule schedule, bool overwrite, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            INSERT INTO {table} (app_id, actor_type, actor_id, name, due_time, period, ttl, data, next_at, period_span, repeats_left, expires_at, version,
                retry_interval, retries_max)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            ON CONFLICT (app_id, actor_type, actor_id, name) {(overwrite ? """
                DO UPDATE SET due_time = EXCLUDED.due_time, period = EXCLUDED.period, ttl = EXCLUDED.ttl, data = EXCLUDED.data,
                    next_at = EXCLUDED.next_at, period_span = EXCLUDED.period_span, repeats_left = EXCLUDED.repeats_left,
                    expires_at = EXCLUDED.expires_at, failures = 0, version = EXCLUDED.version,
                    retry_interval = EXCLUDED.retry_interval, retries_max = EXCLUDED.retries_max
                """ : "DO NOTHING")}
            """);
        AddKey(command, appId, callback.Actor, callback.Name);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = callback.DueTime });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = callback.Period });
        Add(command, NpgsqlDbType.Text, callback.Ttl);
        Add(command, NpgsqlDbType.Bytea, callback.Data);
        Add(command, NpgsqlDbType.TimestampTz, schedule.FirstAt.ToUniversalTime());
        Add(command, NpgsqlDbType.Interval, schedule.Period);
        Add(command, NpgsqlDbType.Integer, schedule.Repeats);
        Add(command, NpgsqlDbType.TimestampTz, schedule.ExpiresAt?.ToUniversalTime());
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = Guid.CreateVersion7() });
        Add(command, NpgsqlDbType.Interval, callback.OnFailure.Interval);
        Add(command, NpgsqlDbType.Integer, callback.OnFailure.RetriesMax);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    public async Task<IReadOnlyList<StoredReminder>> FindAsync(string appId, string type, string? actorId, string? name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            SELECT actor_id, name, due_time, period, ttl, data, expires_at FROM {table}
            WHERE {Selected} ORDER BY actor_id, name
            """);
        AddSelection(command, appId, type, actorId, name);
        var found = new List<StoredReminder>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var callback = new ActorCallback(
                new ActorKey(type, reader.GetString(0)), reader.GetString(1), reader.GetString(2), reader.GetString(3), null,
                await NullableAsync<byte[]>(reader, 5, cancellationToken), await NullableAsync<string>(reader, 4, cancellationToken));
            found.Add(new StoredReminder(callback, await reader.GetFieldValueAsync<DateTimeOffset?>(6, cancellationToken)));
        }

        return found;
    }

    public async Task DeleteAsync(string appId, string type, string? actorId, string? name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"DELETE FROM {table} WHERE {Selected}");
        AddSelection(command, appId, type, actorId, name);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task<IReadOnlyList<Reminder>> TakeDueAsync(
        IReadOnlyList<(string AppId, string Type)> hosted, DateTimeOffset now, int countMax, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            WITH due AS (
                SELECT app_id, actor_type, actor_id, name, next_at
                FROM {table}
                WHERE next_at <= $1 AND (app_id, actor_type) IN (SELECT * FROM unnest($2::text[], $3::text[]))
                ORDER BY next_at
                LIMIT $4
                FOR UPDATE SKIP LOCKED)
            UPDATE {table} r SET next_at = $5
            FROM due d
            WHERE (r.app_id, r.actor_type, r.actor_id, r.name) = (d.app_id, d.actor_type, d.actor_id, d.name)
            RETURNING r.app_id, r.actor_type, r.actor_id, r.name, r.due_time, r.period, r.data, r.ttl,
                d.next_at, r.period_span, r.repeats_left, r.expires_at, r.failures, r.version, r.retry_interval, r.retries_max
            """);
        Add(command, NpgsqlDbType.TimestampTz, now);
        command.Parameters.Add(new NpgsqlParameter { Value = hosted.Select(entry => entry.AppId).ToArray() });
        command.Parameters.Add(new NpgsqlParameter { Value = hosted.Select(entry => entry.Type).ToArray() });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = countMax });
        Add(command, NpgsqlDbType.TimestampTz, now + IReminderStore.Lease);
        var due = new List<Reminder>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var callback = new ActorCallback(
                new ActorKey(reader.GetString(1), reader.GetString(2)), reader.GetString(3), reader.GetString(4), reader.GetString(5), null,
                await NullableAsync<byte[]>(reader, 6, cancellationToken), await NullableAsync<string>(reader, 7, cancellationToken))
            {
                OnFailure = new FailurePolicy(
                    await reader.GetFieldValueAsync<TimeSpan>(14, cancellationToken), await reader.GetFieldValueAsync<int?>(15, cancellationToken)),
            };
            due.Add(new Reminder(
                reader.GetString(0), callback,
                await reader.GetFieldValueAsync<DateTimeOffset>(8, cancellationToken), await reader.GetFieldValueAsync<TimeSpan?>(9, cancellationToken),
                await reader.GetFieldValueAsync<int?>(10, cancellationToken), await reader.GetFieldValueAsync<DateTimeOffset?>(11, cancellationToken),
                reader.GetInt32(12), reader.GetGuid(13)));
        }

        return due;
    }

    public async Task<DateTimeOffset?> NextDueAsync(IReadOnlyList<(string AppId, string Type)> hosted, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"SELECT min(next_at) FROM {table} WHERE (app_id, actor_type) IN (SELECT * FROM unnest($1::text[], $2::text[]))");
        command.Parameters.Add(new NpgsqlParameter { Value = hosted.Select(entry => entry.AppId).ToArray() });
        command.Parameters.Add(new NpgsqlParameter { Value = hosted.Select(entry => entry.Type).ToArray() });
        return await command.ExecuteScalarAsync(cancellationToken) is DateTime next ? new DateTimeOffset(next, TimeSpan.Zero) : null;
    }

    public async Task FinishAsync(Reminder reminder, DateTimeOffset? next, int? repeatsLeft, int failures, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(next is null
            ? $"DELETE FROM {table} WHERE app_id = $1 AND actor_type = $2 AND actor_id = $3 AND name = $4 AND version = $5"
            : $"UPDATE {table} SET next_at = $6, repeats_left = $7, failures = $8 WHERE app_id = $1 AND actor_type = $2 AND actor_id = $3 AND name = $4 AND version = $5");
        AddKey(command, reminder.AppId, reminder.Callback.Actor, reminder.Callback.Name);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = reminder.Version });
        if (next is { } moment)
        {
            Add(command, NpgsqlDbType.TimestampTz, moment.ToUniversalTime());
            Add(command, NpgsqlDbType.Integer, repeatsLeft);
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = failures });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<T?> NullableAsync<T>(NpgsqlDataReader reader, int column, CancellationToken cancellationToken) where T : class =>
        await reader.IsDBNullAsync(column, cancellationToken) ? null : await reader.GetFieldValueAsync<T>(column, cancellationToken);

    private static void AddSelection(NpgsqlCommand command, string appId, string type, string? actorId, string? name)
    {
        Add(command, NpgsqlDbType.Text, appId);
        Add(command, NpgsqlDbType.Text, type);
        Add(command, NpgsqlDbType.Text, actorId);
        Add(command, NpgsqlDbType.Text, name);
    }

    private static void AddKey(NpgsqlCommand command, string appId, ActorKey actor, string name)
    {
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = appId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = actor.Type });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = actor.Id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
    }

    private static void Add(NpgsqlCommand command, NpgsqlDbType type, object? value) =>
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = type, Value = value ?? DBNull.Value });
}
