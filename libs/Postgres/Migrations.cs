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
            found.Add(new Migration(int.Parse(name.AsSpan(0, 4)), name, reader.ReadToEnd()));
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
            await using (var create = new NpgsqlCommand(
                $"""
                -- Not CREATE SCHEMA IF NOT EXISTS: that asks for the right to create schemas even when it is there, and a service's role has no such right.
                DO $$ BEGIN
                    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{schema.Replace("'", "''", StringComparison.Ordinal)}') THEN
                        CREATE SCHEMA {Quote(schema)};
                    END IF;
                END $$;
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

                await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
                await ExecuteAsync(connection, "SELECT set_config('search_path', $1, true)", [schema], cancellationToken);
                await using (var script = new NpgsqlCommand(migration.Sql, connection, transaction))
                {
                    await script.ExecuteNonQueryAsync(cancellationToken);
                }

                await ExecuteAsync(
                    connection,
                    $"INSERT INTO {Quote(schema)}.schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
                    [migration.Number, migration.Name, hash],
                    cancellationToken);
                await transaction.CommitAsync(cancellationToken);
                applied.Add(migration.Name);
            }
        }
        finally
        {
            // Not the caller's token: a lock left on a pooled connection would block the next replica.
            await ExecuteAsync(connection, "SELECT pg_advisory_unlock(hashtextextended($1, 0))", [$"migrations:{schema}"], CancellationToken.None);
        }

        return applied;
    }

    internal static string Quote(string identifier) => "\"" + identifier.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, object[] values, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
