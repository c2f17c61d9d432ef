using System.Diagnostics;

namespace RenderTrust.Contracts;

/// <summary>
/// A named place just before or after an effect that must survive the death of its process. Off, and then one look at a static field,
/// unless a process of a Development platform is started with a folder for them (<see cref="FolderVariable"/>). A file of the
/// failpoint's name in that folder arms it: the first process that gets there takes the file and dies as by <c>kill -9</c>.
/// </summary>
public static class Failpoint
{
    /// <summary>The environment variable that names the folder.</summary>
    public const string FolderVariable = "RENDERTRUST_FAILPOINTS";

    /// <summary>Below the folder: one file for each hit, named by failpoint, process and time.</summary>
    public const string HitsFolder = "hits";

    private static bool isOn;
    private static string folder = "";

    /// <summary>Once, where a process starts. Without Development or without a folder nothing changes.</summary>
    public static void Enable(bool isDevelopment, string? folderPath)
    {
        if (!isDevelopment || string.IsNullOrEmpty(folderPath))
        {
            return;
        }

        folder = Path.GetFullPath(folderPath);
        Directory.CreateDirectory(Path.Combine(folder, HitsFolder));
        isOn = true;
    }

    /// <summary>Ends the process here if the failpoint is armed.</summary>
    /// <param name="name">One of <see cref="Failpoints.All"/>, written out, so that a test finds the place.</param>
    public static void Hit(string name)
    {
        if (isOn)
        {
            Fire(name);
        }
    }

    private static void Fire(string name)
    {
        var armed = Path.Combine(folder, name);
        if (!File.Exists(armed))
        {
            return;
        }

        try
        {
            // The rename takes the file and records the hit in one step: one process wins, and no hit goes unrecorded.
            File.Move(armed, Path.Combine(folder, HitsFolder, $"{name}_{Environment.ProcessId}_{Guid.CreateVersion7():N}"), overwrite: true);
        }
        catch (FileNotFoundException)
        {
            return;
        }

        using var self = Process.GetCurrentProcess();
        self.Kill();
    }
}
