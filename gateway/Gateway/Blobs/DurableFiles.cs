using System.Runtime.InteropServices;
using System.Text;

namespace RenderTrust.Gateway.Blobs;

/// <summary>What it takes for a file's name to survive a power cut: its folder is written out as well, and .NET opens no folders.</summary>
internal static class DurableFiles
{
    private const int ReadOnlyDirectoryCloseOnExec = 0x10000 | 0x80000;

    /// <summary>Makes a folder and every missing one above it, for this user only, so that none of them is lost with the power.</summary>
    public static void CreateDirectory(string path)
    {
        var full = Path.GetFullPath(path);
        if (Directory.Exists(full))
        {
            return;
        }

        var parent = Path.GetDirectoryName(full)!;
        CreateDirectory(parent);
        Directory.CreateDirectory(full, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        SyncDirectory(parent);
    }

    /// <summary>Renames within one file system. The file's content must be on disk already.</summary>
    public static void Move(string from, string to)
    {
        File.Move(from, to, overwrite: true);
        SyncDirectory(Path.GetDirectoryName(to)!);
    }

    private static void SyncDirectory(string path)
    {
        var descriptor = Open(Encoding.UTF8.GetBytes(path + '\0'), ReadOnlyDirectoryCloseOnExec);
        if (descriptor < 0)
        {
            throw Failure("open", path);
        }

        try
        {
            if (Sync(descriptor) != 0)
            {
                throw Failure("sync", path);
            }
        }
        finally
        {
            // Nothing was written through this descriptor, so a failed close loses nothing.
            _ = Close(descriptor);
        }
    }

    private static IOException Failure(string what, string path) =>
        new($"Cannot {what} folder {path}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}. Check the disk and the folder's owner.");

#pragma warning disable SYSLIB1054 // Generated marshalling needs unsafe code in the whole project; these three take only blittable arguments.
    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open(byte[] path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Sync(int descriptor);

    [DllImport("libc", EntryPoint = "close", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int descriptor);
#pragma warning restore SYSLIB1054
}
