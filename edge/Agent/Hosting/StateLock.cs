namespace RenderTrust.Agent.Hosting;

/// <summary>One agent per state folder: two would send each other's results and wipe each other's scratch. The kernel drops the lock with the process.</summary>
internal sealed class StateLock : IDisposable
{
    private readonly FileStream _file;

    private StateLock(FileStream file) => _file = file;

    public static StateLock Take(string stateFolder)
    {
        var path = Path.Combine(Path.GetFullPath(stateFolder), "agent.lock");
        try
        {
            return new StateLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
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
}

/// <summary>The node cannot start; the message says what to do.</summary>
internal sealed class NodeStartException(string message, Exception? inner = null) : Exception(message, inner);
