using Dapr.Workflow;
using Npgsql;

namespace RenderTrust.WorkflowLoad;

/// <summary>The one activity of all workflows here: records that it ran, if there is a book of effects, and answers with its number.</summary>
public sealed class StepActivity(EffectBook? book = null) : WorkflowActivity<int, string>
{
    public override async Task<string> RunAsync(WorkflowActivityContext context, int input)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (book is not null)
        {
            await book.RecordAsync(context.InstanceId, context.TaskExecutionKey, input, CancellationToken.None);
        }

        return $"{input}";
    }
}

/// <summary>
/// What activities did, in a table: one row for each instance and task key, so that a repeated run is the same effect, and a task that was
/// scheduled twice is a second row.
/// </summary>
public sealed class EffectBook(NpgsqlDataSource database)
{
    public const string Table = "workflow_load_effects";

    public async Task CreateAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
            CREATE TABLE IF NOT EXISTS {Table} (
                instance_id text NOT NULL,
                task_key text NOT NULL,
                step int NOT NULL,
                runs int NOT NULL DEFAULT 1,
                PRIMARY KEY (instance_id, task_key)
            )
            """);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task RecordAsync(string instanceId, string taskKey, int step, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
            INSERT INTO {Table} AS e (instance_id, task_key, step) VALUES ($1, $2, $3)
            ON CONFLICT (instance_id, task_key) DO UPDATE SET runs = e.runs + 1
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = instanceId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = taskKey });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = step });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>All rows, by instance.</summary>
    public async Task<ILookup<string, (int Step, int Runs)>> ReadAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"SELECT instance_id, step, runs FROM {Table}");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<(string InstanceId, int Step, int Runs)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add((reader.GetString(0), reader.GetInt32(1), reader.GetInt32(2)));
        }

        return rows.ToLookup(row => row.InstanceId, row => (row.Step, row.Runs));
    }
}
