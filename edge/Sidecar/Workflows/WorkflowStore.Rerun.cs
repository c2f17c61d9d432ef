using Npgsql;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

internal sealed partial class WorkflowStore
{
    /// <summary>An instance that begins with a history; the next host that looks takes it up. False when an id is in use.</summary>
    public async Task<bool> InsertRerunAsync(InstanceRecord record, IReadOnlyList<HistoryEvent> history, IReadOnlyList<InstanceRecord> children, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        foreach (var instance in (InstanceRecord[])[record, .. children])
        {
            await using var insert = new NpgsqlCommand(
                $"""
                INSERT INTO {Schema.Instances} (key, app_id, instance_id, status, wake_at, start, parent_key, parent_generation, parent_task, created_at, updated_at, started_at)
                VALUES ($1, $2, $3, $4, '-infinity', $5, $6, $7, $8, $9, $9, $10) ON CONFLICT (app_id, instance_id) DO NOTHING
                """, connection)
            {
                Parameters =
                {
                    new NpgsqlParameter<Guid> { TypedValue = instance.Key }, new NpgsqlParameter<string> { TypedValue = instance.Address.AppId },
                    new NpgsqlParameter<string> { TypedValue = instance.Address.InstanceId }, new NpgsqlParameter<short> { TypedValue = (short)instance.Status },
                    new NpgsqlParameter<byte[]> { TypedValue = Wire.Write(instance.Start) }, new NpgsqlParameter<Guid?> { TypedValue = instance.Parent?.Key },
                    new NpgsqlParameter<long?> { TypedValue = instance.Parent?.Generation }, new NpgsqlParameter<int?> { TypedValue = instance.Parent?.Task },
                    new NpgsqlParameter<DateTimeOffset> { TypedValue = instance.CreatedAt }, new NpgsqlParameter<DateTimeOffset?> { TypedValue = instance.StartedAt },
                },
            };
            if (await insert.ExecuteNonQueryAsync(cancellationToken) == 0)
            {
                return false;
            }
        }

        await using var append = new NpgsqlCommand($"INSERT INTO {Schema.History} (key, version, events) VALUES ($1, 0, $2)", connection)
        {
            Parameters = { new NpgsqlParameter<Guid> { TypedValue = record.Key }, new NpgsqlParameter<byte[]> { TypedValue = Wire.Write(history) } },
        };
        await append.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }
}
