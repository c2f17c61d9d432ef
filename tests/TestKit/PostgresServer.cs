using System.Diagnostics;
using Npgsql;

namespace RenderTrust.TestKit;

/// <summary>
/// One real Postgres for all tests of a process: the one that RENDERTRUST_TEST_POSTGRES names (superuser connection string),
/// else a private cluster in a folder of its own, stopped when the process ends.
/// </summary>
public static class PostgresServer
{
    private static readonly Lazy<Task<string>> Started = new(StartAsync);

    /// <summary>Superuser connection string without a database.</summary>
    public static Task<string> ConnectionStringAsync() => Started.Value;

    private static async Task<string> StartAsync()
    {
        var given = Environment.GetEnvironmentVariable("RENDERTRUST_TEST_POSTGRES");
        if (!string.IsNullOrWhiteSpace(given))
        {
            return given;
        }

        var bin = Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").Select(d => Path.Combine(d, "bin")).FirstOrDefault(d => File.Exists(Path.Combine(d, "initdb")))
            : null;
        if (bin is null)
        {
            throw new InvalidOperationException("No Postgres server found under /usr/lib/postgresql. Install it (apt-get install postgresql) or set RENDERTRUST_TEST_POSTGRES.");
        }

        // Under /var/tmp and not the clone: user postgres cannot enter a clone under /root.
        var folder = $"/var/tmp/rendertrust-test-{Environment.ProcessId}";
        var port = TestPorts.Free();
        var asPostgres = Environment.UserName == "root";
        Run(asPostgres, "sh", "-c", $"rm -rf {folder} && mkdir -m 700 {folder} && {bin}/initdb -D {folder}/data -U postgres -A trust -E UTF8 --locale=C.UTF-8 && {bin}/pg_ctl -D {folder}/data -w -t 60 -l {folder}/log -o '-p {port} -h 127.0.0.1 -k {folder} -c max_connections=300' start");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Run(asPostgres, "sh", "-c", $"{bin}/pg_ctl -D {folder}/data -m immediate -w stop; rm -rf {folder}");
        var text = $"Host=127.0.0.1;Port={port};Username=postgres";
        await using var probe = NpgsqlDataSource.Create(text);
        await using var command = probe.CreateCommand("SELECT 1");
        await command.ExecuteScalarAsync();
        return text;
    }

    private static void Run(bool asPostgres, params string[] command)
    {
        var start = new ProcessStartInfo { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] all = asPostgres ? ["runuser", "-u", "postgres", "--", .. command] : command;
        start.FileName = all[0];
        foreach (var argument in all.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        // A child that keeps the pipe open (the server) must not block the reader: its log goes to a file.
        start.WorkingDirectory = "/var/tmp";
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{string.Join(' ', all)} exited with {process.ExitCode}: {(error.Wait(1000) ? error.Result : "")}");
        }
    }
}
