using System.Globalization;
using System.Text;

namespace RenderTrust.Cli.Platform;

/// <param name="CommandLine">Arguments with spaces between them.</param>
/// <param name="Folder">Working directory; empty where it may not be read.</param>
internal sealed record RunningProcess(int Pid, string CommandLine, string Folder);

/// <summary>What runs on this machine, as /proc tells it: for processes that nobody wrote down.</summary>
internal static class ProcessTable
{
    public static IEnumerable<int> Find(Func<RunningProcess, bool> isWanted)
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid) && Read(pid) is { } process && isWanted(process))
            {
                yield return pid;
            }
        }
    }

    /// <returns>Null when there is no such process.</returns>
    public static RunningProcess? Read(int pid)
    {
        try
        {
            var command = Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{pid}/cmdline")).TrimEnd('\0').Replace('\0', ' ');
            return new RunningProcess(pid, command, FolderOf(pid));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string FolderOf(int pid)
    {
        try
        {
            return new FileInfo($"/proc/{pid}/cwd").LinkTarget ?? "";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Another user's process, or one that has just ended.
            return "";
        }
    }
}
