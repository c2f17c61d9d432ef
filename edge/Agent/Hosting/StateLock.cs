namespace RenderTrust.Agent.Hosting;

/// <summary>
/// One agent per state folder: two would send each other's results and wipe each other's scratch. The kernel drops the lock with the process.
/// Who holds it is told in <c>agent.pid</c>, by pid and start time in clock ticks since boot, so that a pid used again is nobody's.
/// </summary>
internal sealed class StateLock : IDisposable
{
    private readonly FileStream _file;

    private StateLock(FileStream file) => _file = file;

    public static StateLock Take(string stateFolder)
    {
        var path = Path.Combine(Path.GetFullPath(stateFolder), "agent.lock");
        try
        {
            var taken = new StateLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            WriteHolder(Path.GetDirectoryName(path)!);
            return taken;
        }
        catch (DirectoryNotFoundException exception)
        {
            throw new NodeStartException($"There is no state folder '{stateFolder}'. Run enroll first.", exception);
        }
        catch (IOException exception)
        {
            throw new NodeStartException($"Another agent already runs on '{stateFolder}' (its lock file is held). Stop it first or use another state folder.", exception);
        }
    }

    public void Dispose() => _file.Dispose();

    private static void WriteHolder(string folder)
    {
        var text = File.ReadAllText("/proc/self/stat");
        // The second field is the program's name and may hold blanks; the start time is the 22nd.
        var started = text[(text.LastIndexOf(')') + 2)..].Split(' ')[19];
        var file = Path.Combine(folder, "agent.pid");
        File.WriteAllText(file + ".new", $"{Environment.ProcessId} {started}\n");
        File.Move(file + ".new", file, overwrite: true);
    }
}

/// <summary>The node cannot start; the message says what to do.</summary>
internal sealed class NodeStartException(string message, Exception? inner = null) : Exception(message, inner);
