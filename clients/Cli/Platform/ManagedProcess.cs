using System.Diagnostics;
using System.Globalization;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform;

/// <summary>A process that we started, known by pid and start time, so that a pid used again by someone else is never signalled.</summary>
internal sealed record ManagedProcess(string Name, int Pid, long StartTicks, string LogPath, string StopSignal = "TERM")
{
    public bool IsRunning => ReadStartTicks(Pid) == StartTicks && StartTicks != 0;

    /// <summary>
    /// Starts a program in a session of its own, its output appended to a log file, so that it outlives this process. It runs only once
    /// <paramref name="record"/> has written it down: whenever this process is killed, nothing runs that a later one does not know of.
    /// </summary>
    public static ManagedProcess Start(
        string name, IReadOnlyList<string> command, string logPath, string workingDirectory, Action<ManagedProcess> record,
        IReadOnlyDictionary<string, string>? environment = null, string stopSignal = "TERM")
    {
        // The shell opens the log; a pipe would tie the program's life to ours. It waits for a line, and ends without one if we are gone.
        var start = new ProcessStartInfo("setsid") { WorkingDirectory = workingDirectory, RedirectStandardInput = true };
        start.ArgumentList.Add("sh");
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("read -r go || exit 1; log=$1; shift; exec \"$@\" >>\"$log\" 2>&1 </dev/null");
        start.ArgumentList.Add("sh");
        start.ArgumentList.Add(logPath);
        foreach (var argument in command)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[key] = value;
        }

        using var process = Process.Start(start) ?? throw new CliException($"Could not start {name}: {command[0]} did not run.", logPath);
        var managed = new ManagedProcess(name, process.Id, ReadStartTicks(process.Id), logPath, stopSignal);
        record(managed);
        process.StandardInput.WriteLine("go");
        return managed;
    }

    public async Task StopAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        if (!IsRunning)
        {
            return;
        }

        Signal(StopSignal);
        if (await WaitForExitAsync(patience, cancellationToken))
        {
            return;
        }

        Signal("KILL");
        await WaitForExitAsync(TimeSpan.FromSeconds(5), cancellationToken);
    }

    /// <summary>The last lines of the log, for an error message.</summary>
    public static string Tail(string path, int lines = 8)
    {
        if (!File.Exists(path))
        {
            return "";
        }

        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        stream.Seek(-Math.Min(stream.Length, 16_384), SeekOrigin.End);
        using var reader = new StreamReader(stream);
        return string.Join('\n', reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(lines));
    }

    private async Task<bool> WaitForExitAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < patience)
        {
            if (!IsRunning)
            {
                return true;
            }

            await Task.Delay(50, cancellationToken);
        }

        return !IsRunning;
    }

    /// <summary>Ends processes that no state file knows, in order and then by force.</summary>
    public static async Task EndAsync(string name, IEnumerable<int> pids, CancellationToken cancellationToken) =>
        await Task.WhenAll(pids.Select(pid => new ManagedProcess(name, pid, ReadStartTicks(pid), "").StopAsync(TimeSpan.FromSeconds(15), cancellationToken)));

    private void Signal(string signal)
    {
        using var kill = Process.Start(new ProcessStartInfo("kill", ["-s", signal, Pid.ToString(CultureInfo.InvariantCulture)]) { RedirectStandardError = true });
        kill?.WaitForExit();
    }

    /// <summary>Field 22 of /proc/PID/stat; 0 when the process is gone or a zombie.</summary>
    private static long ReadStartTicks(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] == "Z" ? 0 : long.Parse(fields[19]);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
