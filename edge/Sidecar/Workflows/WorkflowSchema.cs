using Npgsql;
using RenderTrust.Sidecar.Hosts;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>The tables of the workflow engine in the database of the actor state store, and the steps that lead to them.</summary>
internal sealed class WorkflowSchema(string tablePrefix)
{
    private readonly string prefix = tablePrefix + "rendertrust_workflow";

    public string Instances => prefix + "s";
    public string History => prefix + "_history";
    public string Inbox => prefix + "_inbox";
    public string Hosts => prefix + "_hosts";

    /// <summary>Fails its transaction when two counts differ: <c>SELECT expect(actual, expected)</c>.</summary>
    public string Expect => prefix + "_expect";

    /// <summary>SQLSTATE of that failure: someone else has taken over what we wanted to change.</summary>
    public const string Fenced = "RT001";

    public SessionTable Session => new(Hosts, Expect, TimeSpan.FromSeconds(15));

    private string Levels => prefix + "_levels";

    /// <summary>Forward only; the database remembers how many of them it has seen.</summary>
    private IReadOnlyList<string> Steps =>
    [
        $"""
        CREATE TABLE {Hosts} (
            host_id uuid PRIMARY KEY,
            lock_id bigint NOT NULL,
            lease_until timestamptz NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE {Instances} (
            key uuid PRIMARY KEY,
            app_id text NOT NULL,
            instance_id text NOT NULL,
            status smallint NOT NULL,
            generation bigint NOT NULL DEFAULT 1,
            version bigint NOT NULL DEFAULT 0,
            owner uuid,
            wake_at timestamptz,
            has_mail boolean NOT NULL DEFAULT false,
            start bytea NOT NULL,
            completed bytea,
            stalled bytea,
            custom_status bytea,
            propagated bytea,
            parent_key uuid,
            parent_generation bigint,
            parent_task int,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            scheduled_at timestamptz,
            started_at timestamptz,
            completed_at timestamptz,
            UNIQUE (app_id, instance_id)
        ) WITH (fillfactor = 70);
        CREATE INDEX ON {Instances} (wake_at) WHERE owner IS NULL AND wake_at IS NOT NULL;
        CREATE INDEX ON {Instances} (owner) WHERE owner IS NOT NULL;
        CREATE INDEX ON {Instances} (owner) WHERE has_mail;
        CREATE INDEX ON {Instances} (parent_key) WHERE parent_key IS NOT NULL;
        CREATE TABLE {History} (
            key uuid NOT NULL,
            version bigint NOT NULL,
            events bytea NOT NULL,
            PRIMARY KEY (key, version)
        );
        CREATE TABLE {Inbox} (
            key uuid NOT NULL,
            message_id uuid NOT NULL,
            seq bigint GENERATED ALWAYS AS IDENTITY,
            generation bigint,
            is_foreign boolean NOT NULL,
            event bytea NOT NULL,
            PRIMARY KEY (key, message_id)
        );
        CREATE FUNCTION {Expect}(actual bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF actual <> expected THEN
                RAISE EXCEPTION 'changed % rows of %', actual, expected USING ERRCODE = '{Fenced}';
            END IF;
        END $$
        """,
    ];

    /// <summary>Several hosts may start on one database at once: an advisory lock orders them.</summary>
    public async Task ApplyAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var guard = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", connection))
        {
            guard.Parameters.Add(new NpgsqlParameter<string> { TypedValue = Levels });
            await guard.ExecuteNonQueryAsync(cancellationToken);
        }

        await RunAsync($"CREATE TABLE IF NOT EXISTS {Levels} (level int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())");
        await using var read = new NpgsqlCommand($"SELECT coalesce(max(level), 0) FROM {Levels}", connection);
        var level = (int)(await read.ExecuteScalarAsync(cancellationToken))!;
        for (var next = level; next < Steps.Count; next++)
        {
            await RunAsync(Steps[next]);
            await RunAsync($"INSERT INTO {Levels} (level) VALUES ({next + 1})");
        }

        await transaction.CommitAsync(cancellationToken);

        async Task RunAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }
}
