using System.Runtime.InteropServices;

namespace RenderTrust.Agent.Scratch;

/// <summary>The Linux calls that .NET has no API for. Each returns errno's text instead of throwing, so that callers can say what to do.</summary>
internal static partial class Native
{
    private const ulong NoSuid = 2, NoDev = 4, NoExec = 8;
    private const int DetachFlag = 2;
    private const int KillSignal = 9;
    private const int TerminateSignal = 15;

    public static bool IsRoot { get; } = OperatingSystem.IsLinux() && GetEffectiveUser() == 0;

    public static uint UserId => GetEffectiveUser();

    public static uint GroupId => GetEffectiveGroup();

    /// <summary>Mounts an empty memory-backed file system of a fixed size; null when it worked.</summary>
    public static string? MountTmpfs(string folder, long sizeBytes, string mode) =>
        Error(Mount("rendertrust", folder, "tmpfs", NoSuid | NoDev | NoExec, $"size={sizeBytes},mode={mode}"));

    public static string? Unmount(string folder) => Error(Unmount2(folder, DetachFlag));

    public static bool Kill(int processId) => KillProcess(processId, KillSignal) == 0;

    public static bool Terminate(int processId) => KillProcess(processId, TerminateSignal) == 0;

    public static string? ChangeOwner(string path, uint user, uint group) => Error(Chown(path, user, group));

    private static string? Error(int result) =>
        result == 0 ? null : Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Mount(string source, string target, string type, ulong flags, string data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Unmount2(string target, int flags);

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Chown(string path, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int KillProcess(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial uint GetEffectiveUser();

    [LibraryImport("libc", EntryPoint = "getegid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial uint GetEffectiveGroup();
}

/// <summary>Makes a rename or a new name survive a power cut: the folder that holds the name must be flushed too.</summary>
internal static partial class Fsync
{
    private const int ReadOnly = 0;

    /// <summary>The runtime has no awaitable form of it.</summary>
    public static void File(FileStream file) => file.Flush(flushToDisk: true);

    public static void Folder(string path)
    {
        var descriptor = Open(path, ReadOnly);
        if (descriptor < 0)
        {
            throw new IOException($"'{path}' cannot be opened to flush it: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        }

        var failed = Flush(descriptor) != 0;
        var error = Marshal.GetLastPInvokeError();
        _ = Close(descriptor);
        if (failed)
        {
            throw new IOException($"'{path}' cannot be flushed: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Flush(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Close(int descriptor);
}
