using Npgsql;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform.Brokers;

/// <summary>
/// Holds back what the services publish, by the locks that their publishers take. The locks belong to a connection: whoever kills this process lets the facts go.
/// </summary>
internal sealed class HeldFacts : IAsyncDisposable
{
    private readonly NpgsqlDataSource database;
    private readonly NpgsqlConnection locks;
    private readonly IReadOnlyList<string> schemas;

    private HeldFacts(NpgsqlDataSource database, NpgsqlConnection locks, IReadOnlyList<string> schemas)
    {
        this.database = database;
        this.locks = locks;
        this.schemas = schemas;
    }

    /// <summary>Whoever publishes now ends its batch first; after that nobody publishes.</summary>
    public static async Task<HeldFacts> TakeAsync(LocalPlatform platform, TimeSpan patience, CancellationToken cancellationToken)
    {
        var database = NpgsqlDataSource.Create(platform.Postgres.AdminOnDatabase);
        NpgsqlConnection? locks = null;
        try
        {
            var schemas = await ReadAsync<string>(
                database, "SELECT namespace.nspname::text FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace WHERE class.relname = 'outbox' AND class.relkind = 'r' ORDER BY 1", cancellationToken);
            locks = await database.OpenConnectionAsync(cancellationToken);
            foreach (var schema in schemas)
            {
                await LockAsync(locks, schema, patience, platform.Paths, cancellationToken);
            }

            return new HeldFacts(database, locks, schemas);
        }
        catch
        {
            // First the connection, so that its locks end with the pool and not with this process.
            await (locks?.DisposeAsync() ?? ValueTask.CompletedTask);
            await database.DisposeAsync();
            throw;
        }
    }

    /// <summary>Throws when the connection broke, and the locks went with it.</summary>
    public async Task AssertHeldAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var ask = new NpgsqlCommand("SELECT 1", locks);
            await ask.ExecuteScalarAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or InvalidOperationException)
        {
            throw new CliException($"The database connection that held facts back broke ({exception.GetBaseException().Message}), so the services stay on their broker and nothing is lost. Run the same command again.");
        }
    }

    public async Task ReleaseAsync(CancellationToken cancellationToken)
    {
        await using var release = new NpgsqlCommand("SELECT pg_advisory_unlock_all()", locks);
        await release.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Ids of the facts that have not been published.</summary>
    public Task<IReadOnlyList<Guid>> WaitingAsync(CancellationToken cancellationToken) =>
        ReadAsync<Guid>(database, string.Join(" UNION ALL ", schemas.Select(schema => $"SELECT message_id FROM \"{schema}\".outbox")), cancellationToken);

    /// <summary>Jobs that have not ended.</summary>
    public Task<IReadOnlyList<Guid>> OpenJobsAsync(CancellationToken cancellationToken) =>
        ReadAsync<Guid>(database, "SELECT job_id FROM scheduler.jobs WHERE ended_at IS NULL", cancellationToken);

    /// <summary>How many of these jobs have ended, and how many there are.</summary>
    public async Task<(long Ended, long Known)> CountAsync(IReadOnlyList<Guid> jobs, CancellationToken cancellationToken)
    {
        await using var count = database.CreateCommand("SELECT count(*) FILTER (WHERE ended_at IS NOT NULL), count(*) FROM scheduler.jobs WHERE job_id = ANY($1)");
        count.Parameters.Add(new() { Value = jobs.ToArray() });
        await using var row = await count.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        return (row.GetInt64(0), row.GetInt64(1));
    }

    public async ValueTask DisposeAsync()
    {
        await locks.DisposeAsync();
        await database.DisposeAsync();
    }

    private static async Task LockAsync(NpgsqlConnection locks, string schema, TimeSpan patience, PlatformPaths paths, CancellationToken cancellationToken)
    {
        await using var take = new NpgsqlCommand("SELECT pg_advisory_lock(hashtextextended('outbox:' || $1, 0))", locks)
        {
            Parameters = { new() { Value = schema } }, CommandTimeout = (int)patience.TotalSeconds,
        };
        try
        {
            await take.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (NpgsqlException exception) when (exception.InnerException is TimeoutException)
        {
            throw new CliException(
                $"Service {schema} was still publishing after {patience.TotalSeconds:0} s, so nothing was changed. Give it longer with --drain-seconds, or look at its log.", paths.Log(schema));
        }
    }

    private static async Task<IReadOnlyList<T>> ReadAsync<T>(NpgsqlDataSource database, string sql, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var values = new List<T>();
        while (await reader.ReadAsync(cancellationToken))
        {
            values.Add(await reader.GetFieldValueAsync<T>(0, cancellationToken));
        }

        return values;
    }
}
