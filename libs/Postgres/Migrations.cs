using System.Data;
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace RenderTrust.Postgres;

/// <summary>One forward-only step, named <c>NNNN_what</c>.</summary>
public sealed record Migration(int Number, string Name, string Sql);

/// <summary>Applies a service's embedded <c>Migrations/*.sql</c> to its own schema, each in its own transaction, once.</summary>
public static class Migrations
{
    /// <summary>Reads the embedded scripts of an assembly, in order; numbers must be 1..n without a gap.</summary>
    public static IReadOnlyList<Migration> ReadFrom(Assembly assembly)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        const string marker = ".Migrations.";
        var found = new List<Migration>();
        foreach (var resource in assembly.GetManifestResourceNames().Where(name => name.Contains(marker, StringComparison.Ordinal) && name.EndsWith(".sql", StringComparison.Ordinal)))
        {
            var name = resource[(resource.IndexOf(marker, StringComparison.Ordinal) + marker.Length)..^4];
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            if (name.Length < 6 || name[4] != '_' || !int.TryParse(name.AsSpan(0, 4), NumberStyles.None, null, out var number))
            {
                throw new InvalidOperationException($"Migration {name}.sql is not named NNNN_what.sql. Rename it, for example {found.Count + 1:D4}_what.sql.");
            }

            // A checkout with other line ends is the same migration.
            found.Add(new Migration(number, name, reader.ReadToEnd().ReplaceLineEndings("\n")));
        }

        found.Sort((a, b) => a.Number.CompareTo(b.Number));
        for (var index = 0; index < found.Count; index++)
        {
            if (found[index].Number != index + 1)
            {
                throw new InvalidOperationException($"Migration {found[index].Name} should have number {index + 1:D4}: numbers count from 0001 without gaps.");
            }
        }

        return found;
    }

    /// <summary>
    /// Brings <paramref name="schema"/> up to date. Safe to run from several replicas at once: an advisory lock orders them.
    /// A migration whose text changed after it was applied is refused, since no database would match the tree any more.
    /// </summary>
    /// <returns>The names applied now.</returns>
    public static async Task<IReadOnlyList<string>> ApplyAsync(
        NpgsqlDataSource dataSource, string schema, IReadOnlyList<Migration> migrations, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(dataSource);
        ArgumentNullException.ThrowIfNull(migrations);
        var applied = new List<string>();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await ExecuteAsync(connection, "SELECT pg_advisory_lock(hashtextextended($1, 0))", [$"migrations:{schema}"], cancellationToken);
        try
        {
            await CreateSchemaAsync(connection, schema, cancellationToken);
            await using (var create = new NpgsqlCommand(
                $"""
                CREATE TABLE IF NOT EXISTS {Quote(schema)}.schema_migrations (
                    number int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
                """, connection))
            {
                await create.ExecuteNonQueryAsync(cancellationToken);
            }

            var known = new Dictionary<int, string>();
            await using (var read = new NpgsqlCommand($"SELECT number, sha256 FROM {Quote(schema)}.schema_migrations", connection))
            await using (var reader = await read.ExecuteReaderAsync(cancellationToken))
            {
                while (await reader.ReadAsync(cancellationToken))
                {
                    known[reader.GetInt32(0)] = reader.GetString(1);
                }
            }

            foreach (var migration in migrations)
            {
                var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(migration.Sql)));
                if (known.TryGetValue(migration.Number, out var seen))
                {
                    if (seen != hash)
                    {
                        throw new InvalidOperationException(
                            $"Migration {migration.Name} of schema {schema} was changed after it was applied. Put its text back and write the change as a new migration.");
                    }

                    continue;
                }

                await ApplyOneAsync(connection, schema, migration, hash, cancellationToken);
                applied.Add(migration.Name);
            }
        }
        finally
        {
            // A broken connection has given its lock back by itself, and asking it would hide what broke it.
            if (connection.FullState.HasFlag(ConnectionState.Open) && !connection.FullState.HasFlag(ConnectionState.Broken))
            {
                // Not the caller's token: a lock left on a pooled connection would block the next replica.
                await ExecuteAsync(connection, "SELECT pg_advisory_unlock(hashtextextended($1, 0))", [$"migrations:{schema}"], CancellationToken.None);
            }
        }

        return applied;
    }

    private static async Task CreateSchemaAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        await using var find = new NpgsqlCommand("SELECT to_regnamespace(quote_ident($1)) IS NOT NULL", connection) { Parameters = { new() { Value = schema } } };
        if (await find.ExecuteScalarAsync(cancellationToken) is true)
        {
            // Not IF NOT EXISTS alone: Postgres asks for the right to create before it looks, and a service's role need not have it.
            return;
        }

        await ExecuteAsync(connection, $"CREATE SCHEMA IF NOT EXISTS {Quote(schema)}", [], cancellationToken);
    }

    private static async Task ApplyOneAsync(NpgsqlConnection connection, string schema, Migration migration, string hash, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, "SELECT set_config('search_path', $1, true)", [Quote(schema)], cancellationToken);
        try
        {
            await ExecuteAsync(connection, migration.Sql, [], cancellationToken);
        }
        catch (PostgresException exception)
        {
            throw new InvalidOperationException(
                $"Migration {migration.Name} of schema {schema} failed and left nothing behind: {exception.MessageText} ({exception.SqlState}). Mend what it stumbles over and start again.", exception);
        }

        await ExecuteAsync(
            connection,
            $"INSERT INTO {Quote(schema)}.schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
            [migration.Number, migration.Name, hash],
            cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    internal static string Quote(string identifier) => "\"" + identifier.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, object[] values, CancellationToken cancellationToken)
    {
        // Without a limit: a long migration, or a replica that waits for one, is not a fault.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
