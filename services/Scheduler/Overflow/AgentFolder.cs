using System.Globalization;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>
/// The state folder of one local agent, as far as its starter reads it: <c>agent.pid</c> says who runs on it (pid and start time, so that a pid used
/// again is nobody's), <c>identity/node.json</c> that it is enrolled. The agent itself holds a lock there, so that two never run on one folder.
/// </summary>
internal sealed record AgentFolder(string Name, string State, string TokenFile, string Log)
{
    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int LogTailBytes = 4096;

    public bool IsEnrolled => File.Exists(Path.Combine(State, "identity", "node.json"));

    /// <summary>Pid of the agent that runs here, whoever started it; null when none does.</summary>
    public int? RunningPid()
    {
        try
        {
            var parts = File.ReadAllText(Path.Combine(State, "agent.pid")).Split(' ', StringSplitOptions.TrimEntries);
            return parts.Length == 2 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var pid) && StartTicks(pid) == parts[1] ? pid : null;
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>An enrolment that did not come to its end is begun anew: its token may be used up, its keys may be known already.</summary>
    public void ForgetEnrolment()
    {
        var identity = Path.Combine(State, "identity");
        if (Directory.Exists(identity))
        {
            Directory.Delete(identity, recursive: true);
        }
    }

    public async Task WriteTokenAsync(string token, CancellationToken cancellationToken)
    {
        File.Delete(TokenFile);
        await using var writer = new StreamWriter(new FileStream(
            TokenFile, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = PrivateFile }));
        await writer.WriteAsync(token.AsMemory(), cancellationToken);
    }

    public void ForgetToken() => File.Delete(TokenFile);

    public long LogLength => File.Exists(Log) ? new FileInfo(Log).Length : 0;

    /// <summary>What the agent said last, behind what stood in the log before it: its error line if there is one, else its last line.</summary>
    public string LastWords(long before)
    {
        if (LogLength <= before)
        {
            return $"it left nothing in {Log}";
        }

        using var stream = new FileStream(Log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        stream.Seek(-Math.Min(stream.Length - before, LogTailBytes), SeekOrigin.End);
        using var reader = new StreamReader(stream);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.LastOrDefault(line => line.StartsWith("error: ", StringComparison.Ordinal))?["error: ".Length..] ?? lines.LastOrDefault() ?? $"it left nothing in {Log}";
    }

    /// <summary>Field 22 of /proc/PID/stat; null when the process is gone or only its exit code is left.</summary>
    private static string? StartTicks(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : fields[19];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
