using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace RenderTrust.Chaos.Tests.Platform;

/// <summary>A process of the platform, known by pid and start time, so that nobody else's is ever signalled.</summary>
internal sealed record Part(string Name, int Pid, long StartTicks)
{
    public bool IsRunning => StartTicks != 0 && FieldsOf(Pid) is { } fields && TicksOf(fields) == StartTicks;

    public static Part? Of(string name, int pid) => FieldsOf(pid) is { } fields ? new Part(name, pid, TicksOf(fields)) : null;

    /// <summary>Only if it is that parent's child.</summary>
    public static Part? OfParent(string name, int pid, int parent) =>
        FieldsOf(pid) is { } fields && int.Parse(fields[1], CultureInfo.InvariantCulture) == parent ? new Part(name, pid, TicksOf(fields)) : null;

    /// <summary>As <c>kill -9</c> does, and waits until the process is gone.</summary>
    public async Task KillAsync(CancellationToken cancellationToken)
    {
        if (!IsRunning)
        {
            return;
        }

        Signal("KILL");
        await Wait.UntilAsync($"{Name} ({Pid}) to be gone", () => Task.FromResult(!IsRunning), cancellationToken);
    }

    public void Signal(string signal)
    {
        if (IsRunning)
        {
            using var kill = Process.Start(new ProcessStartInfo("kill", ["-s", signal, Pid.ToString(CultureInfo.InvariantCulture)]) { RedirectStandardError = true })!;
            kill.WaitForExit();
        }
    }

    /// <summary>Command line and working folder of a process under /proc; null when it has ended.</summary>
    public static string? Describe(string process)
    {
        try
        {
            var command = Encoding.UTF8.GetString(File.ReadAllBytes(Path.Combine(process, "cmdline"))).Replace('\0', ' ');
            return $"{command} in {new FileInfo(Path.Combine(process, "cwd")).LinkTarget}";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long TicksOf(string[] fields) => long.Parse(fields[19], CultureInfo.InvariantCulture);

    /// <summary>Of /proc/PID/stat from the state on; null when the process is gone or a zombie.</summary>
    private static string[]? FieldsOf(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] == "Z" ? null : fields;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
