using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>
/// Starts apps so that they die with this host, even when it is killed: the kernel sends SIGKILL to a child whose
/// parent *thread* ends (PR_SET_PDEATHSIG, through setpriv), so one thread starts them all and lives as long as we do.
/// </summary>
internal sealed class ProcessLauncher : IDisposable
{
    private readonly BlockingCollection<(ProcessStartInfo Info, TaskCompletionSource<Process> Started)> requests = [];
    private readonly Thread thread;

    public ProcessLauncher()
    {
        thread = new Thread(Serve) { IsBackground = true, Name = "process-launcher" };
        thread.Start();
    }

    /// <summary>Empty when children cannot be tied to this process: then only an orderly stop ends them.</summary>
    public static IReadOnlyList<string> Wrapper { get; } = FindWrapper();

    public async Task<Process> StartAsync(string command, IEnumerable<string> arguments, string directory, IReadOnlyDictionary<string, string> environment, string logPath)
    {
        var info = new ProcessStartInfo { WorkingDirectory = directory, UseShellExecute = false };
        // The shell only opens the log and becomes the app, so output needs no pump here and survives our own death.
        string[] line = [.. Wrapper, "/bin/sh", "-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1 </dev/null", "sh", logPath, command, .. arguments];
        info.FileName = line[0];
        foreach (var argument in line.Skip(1))
        {
            info.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment)
        {
            info.Environment[name] = value;
        }

        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        requests.Add((info, started));
        return await started.Task;
    }

    public void Dispose()
    {
        requests.CompleteAdding();
        thread.Join();
        requests.Dispose();
    }

    private void Serve()
    {
        foreach (var (info, started) in requests.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Process.Start(info)!);
            }
            catch (Exception e) when (e is Win32Exception or InvalidOperationException)
            {
                started.SetException(e);
            }
        }
    }

    private static string[] FindWrapper()
    {
        var setsid = Find("setsid");
        var setpriv = Find("setpriv");
        if (!OperatingSystem.IsLinux() || setpriv is null)
        {
            return [];
        }

        // A session of its own lets a stop reach the app's own children, and keeps a terminal's Ctrl-C for us.
        return setsid is null ? [setpriv, "--pdeathsig", "KILL", "--"] : [setsid, setpriv, "--pdeathsig", "KILL", "--"];
    }

    private static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':')
        .Select(directory => Path.Combine(directory, program))
        .FirstOrDefault(File.Exists);
}

/// <summary>Signals, which .NET's Process cannot send.</summary>
internal static partial class Signals
{
    public const int Kill = 9;
    public const int Terminate = 15;

    /// <summary>To the app's whole session, or to the app alone where it has none.</summary>
    public static void Send(int processId, int signal)
    {
        if (kill(-processId, signal) != 0)
        {
            _ = kill(processId, signal);
        }
    }

    /// <summary>To this process and no other of its group.</summary>
    public static void SendAlone(int processId, int signal) => _ = kill(processId, signal);

    [LibraryImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int kill(int pid, int sig);
}
