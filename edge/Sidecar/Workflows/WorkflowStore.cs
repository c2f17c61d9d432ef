using System.Text;
using Npgsql;
using RenderTrust.Postgres;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>An instance as it lies in the database: its row, its history, what it has not heard yet.</summary>
internal sealed record StoredInstance(InstanceRecord Record, IReadOnlyList<HistoryEvent> History, long HistoryBytes, IReadOnlyList<Message> Inbox);

/// <summary>Reads of the workflow tables, and the writes that concern no running turn. Turns are written through <see cref="HostSession"/>.</summary>
internal sealed partial class WorkflowStore : IAsyncDisposable
{
    private const string Columns =
        "key, app_id, instance_id, status, generation, version, start, completed, stalled, custom_status, propagated, parent_key, parent_generation, parent_task, " +
        "created_at, updated_at, scheduled_at, started_at, completed_at";

    private readonly NpgsqlDataSource database;
    private readonly NpgsqlDataSource sessions;

    private WorkflowStore(string connectionString, string tablePrefix)
    {
        Schema = new WorkflowSchema(tablePrefix);
        var builder = new NpgsqlConnectionStringBuilder(connectionString) { MaxAutoPrepare = 100, AutoPrepareMinUsages = 2 };
        builder.MaxPoolSize = Math.Min(builder.MaxPoolSize, 10);
        database = Open(builder);
        builder.Pooling = false;
        sessions = Open(builder);
    }

    public WorkflowSchema Schema { get; }

    public static async Task<WorkflowStore> OpenAsync(string connectionString, string tablePrefix, CancellationToken cancellationToken)
    {
        var store = new WorkflowStore(connectionString, tablePrefix);
        try
        {
            await store.Schema.ApplyAsync(store.database, cancellationToken);
            return store;
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    public async Task<NpgsqlConnection> OpenSessionConnectionAsync(CancellationToken cancellationToken) => await sessions.OpenConnectionAsync(cancellationToken);

    public async Task<InstanceRecord?> FindAsync(InstanceAddress address, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"SELECT {Columns} FROM {Schema.Instances} WHERE app_id = $1 AND instance_id = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = address.AppId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = address.InstanceId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? await ReadRecordAsync(reader) : null;
    }

    /// <summary>Two round trips at most, whatever the number of instances: their rows were read when they were claimed.</summary>
    public async Task<IReadOnlyList<StoredInstance>> LoadAsync(IReadOnlyList<InstanceRecord> records, CancellationToken cancellationToken)
    {
        var keys = records.Select(record => record.Key).ToArray();
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"SELECT key, events FROM {Schema.History} WHERE key = ANY($1) ORDER BY key, version")
        {
            Parameters = { new NpgsqlParameter<Guid[]> { TypedValue = keys } },
        });
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"SELECT key, message_id, generation, event FROM {Schema.Inbox} WHERE key = ANY($1) ORDER BY seq")
        {
            Parameters = { new NpgsqlParameter<Guid[]> { TypedValue = keys } },
        });
        var history = keys.ToDictionary(key => key, _ => (Events: new List<HistoryEvent>(), Bytes: 0L));
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var bytes = await reader.GetFieldValueAsync<byte[]>(1, cancellationToken);
            var (events, size) = history[reader.GetGuid(0)];
            events.AddRange(Wire.ReadMany(bytes));
            history[reader.GetGuid(0)] = (events, size + bytes.Length);
        }

        await reader.NextResultAsync(cancellationToken);
        var inbox = (await ReadMessagesAsync(reader, cancellationToken)).ToLookup(item => item.Key, item => item.Message);
        return [.. records.Select(record => new StoredInstance(record, history[record.Key].Events, history[record.Key].Bytes, [.. inbox[record.Key]]))];
    }

    /// <summary>Messages that others than their owner have written.</summary>
    public async Task<IReadOnlyList<(Guid Key, Message Message)>> ReadForeignAsync(IReadOnlyCollection<Guid> keys, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"SELECT key, message_id, generation, event FROM {Schema.Inbox} WHERE key = ANY($1) AND is_foreign ORDER BY seq");
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. keys] });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await ReadMessagesAsync(reader, cancellationToken);
    }

    public async Task<IReadOnlyList<HistoryEvent>> ReadHistoryAsync(Guid key, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"SELECT events FROM {Schema.History} WHERE key = $1 ORDER BY version");
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = key });
        var events = new List<HistoryEvent>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            events.AddRange(Wire.ReadMany(await reader.GetFieldValueAsync<byte[]>(0, cancellationToken)));
        }

        return events;
    }

    /// <summary>In the order of the ids, those after <paramref name="after"/>.</summary>
    public async Task<IReadOnlyList<string>> ListAsync(string appId, string after, int countMax, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"SELECT instance_id FROM {Schema.Instances} WHERE app_id = $1 AND instance_id > $2 ORDER BY instance_id LIMIT $3");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = appId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = countMax });
        var ids = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Add(reader.GetString(0));
        }

        return ids;
    }

    /// <summary>Frees the instances of hosts that are gone.</summary>
    /// <returns>How many hosts.</returns>
    public async Task<int> TakeOverAsync(Guid self, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var dead = new List<Guid>();
        await using (var find = Workflows.TakeOver.FindDead(Schema, connection, self))
        await using (var reader = await find.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                dead.Add(reader.GetGuid(0));
            }
        }

        if (dead.Count > 0)
        {
            await using var batch = new NpgsqlBatch(connection);
            dead.ForEach(host => batch.BatchCommands.Add(Workflows.TakeOver.Command(Schema, host)));
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return dead.Count;
    }

    /// <summary>When the next instance without an owner wants one.</summary>
    public async Task<DateTimeOffset?> NextWakeAsync(IReadOnlyCollection<string> appIds, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"SELECT wake_at FROM {Schema.Instances} WHERE owner IS NULL AND wake_at IS NOT NULL AND app_id = ANY($1) ORDER BY wake_at LIMIT 1");
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. appIds] });
        return await command.ExecuteScalarAsync(cancellationToken) is DateTime next
            ? next == DateTime.MinValue ? DateTimeOffset.MinValue : new DateTimeOffset(next, TimeSpan.Zero)
            : null;
    }

    /// <summary>Makes the host the owner of what is due, within its session.</summary>
    public Step Claim(Guid hostId, IReadOnlyCollection<string> appIds, DateTimeOffset until, int countMax, List<InstanceRecord> claimed) => new(
        new NpgsqlBatchCommand(
            $"""
            WITH due AS (
                SELECT key FROM {Schema.Instances} WHERE owner IS NULL AND wake_at <= $1 AND app_id = ANY($2)
                ORDER BY wake_at LIMIT $3 FOR UPDATE SKIP LOCKED)
            UPDATE {Schema.Instances} i SET owner = $4, has_mail = false WHERE i.key IN (SELECT key FROM due) RETURNING {Columns}
            """)
        {
            Parameters =
            {
                new NpgsqlParameter<DateTimeOffset> { TypedValue = until }, new NpgsqlParameter<string[]> { TypedValue = [.. appIds] },
                new NpgsqlParameter<int> { TypedValue = countMax }, new NpgsqlParameter<Guid> { TypedValue = hostId },
            },
        },
        async reader =>
        {
            while (await reader.ReadAsync())
            {
                claimed.Add(await ReadRecordAsync(reader));
            }
        });

    /// <summary>Which of the host's instances others have written to since the last time.</summary>
    public Step TakeMail(Guid hostId, List<Guid> keys) => new(
        new NpgsqlBatchCommand($"UPDATE {Schema.Instances} SET has_mail = false WHERE owner = $1 AND has_mail RETURNING key")
        {
            Parameters = { new NpgsqlParameter<Guid> { TypedValue = hostId } },
        },
        async reader =>
        {
            while (await reader.ReadAsync())
            {
                keys.Add(reader.GetGuid(0));
            }
        });

    public async ValueTask DisposeAsync()
    {
        await sessions.DisposeAsync();
        await database.DisposeAsync();
    }

    internal NpgsqlDataSource Database => database;

    private static NpgsqlDataSource Open(NpgsqlConnectionStringBuilder settings)
    {
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);

        // Plans are made while the tables are small and kept when they are not; every statement here has an index that it should use.
        builder.ConnectionStringBuilder.UseSettledPlans("-c enable_seqscan=off");
        return builder.Build();
    }

    private static async Task<IReadOnlyList<(Guid Key, Message Message)>> ReadMessagesAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        var messages = new List<(Guid, Message)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            messages.Add((reader.GetGuid(0), new Message(
                Wire.Read(await reader.GetFieldValueAsync<byte[]>(3, cancellationToken)),
                await reader.GetFieldValueAsync<long?>(2, cancellationToken), reader.GetGuid(1)) { IsStored = true }));
        }

        return messages;
    }

    internal static async Task<InstanceRecord> ReadRecordAsync(NpgsqlDataReader reader)
    {
        var custom = await BytesAsync(reader, 9);
        var parentKey = await reader.GetFieldValueAsync<Guid?>(11);
        return new InstanceRecord
        {
            Key = reader.GetGuid(0),
            Address = new InstanceAddress(reader.GetString(1), reader.GetString(2)),
            Status = (OrchestrationStatus)reader.GetInt16(3),
            Generation = reader.GetInt64(4),
            Version = reader.GetInt64(5),
            Start = Wire.ReadMany((await BytesAsync(reader, 6))!),
            Completed = await BytesAsync(reader, 7) is { } completed ? Wire.Read(completed) : null,
            Stalled = await BytesAsync(reader, 8) is { } stalled ? Wire.Read(stalled) : null,
            CustomStatus = custom is null ? null : Encoding.UTF8.GetString(custom),
            Propagated = await BytesAsync(reader, 10),
            Parent = parentKey is { } key ? new ParentLink(key, reader.GetInt64(12), reader.GetInt32(13)) : null,
            CreatedAt = await reader.GetFieldValueAsync<DateTimeOffset>(14),
            UpdatedAt = await reader.GetFieldValueAsync<DateTimeOffset>(15),
            ScheduledAt = await reader.GetFieldValueAsync<DateTimeOffset?>(16),
            StartedAt = await reader.GetFieldValueAsync<DateTimeOffset?>(17),
            CompletedAt = await reader.GetFieldValueAsync<DateTimeOffset?>(18),
        };
    }

    private static async Task<byte[]?> BytesAsync(NpgsqlDataReader reader, int column) =>
        await reader.IsDBNullAsync(column) ? null : await reader.GetFieldValueAsync<byte[]>(column);
}
