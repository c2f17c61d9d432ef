using System.Runtime.InteropServices;

namespace RenderTrust.Agent.Scratch;

/// <summary>The Linux calls that .NET has no API for. Each returns errno's text instead of throwing, so that callers can say what to do.</summary>
internal static partial class Native
{
    private const ulong NoSuid = 2, NoDev = 4, NoExec = 8;
    private const int DetachFlag = 2;
    private const int CurrentFolder = -100;
    private const int NoFollow = 0x100;
    private const uint BasicStatus = 0x7ff;
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

    /// <summary>Makes a folder only this user can enter; not null, too, when anything has that name.</summary>
    public static string? MakePrivateFolder(string path) => Error(MakeFolder(path, 0x1c0));

    /// <summary>What lies at a path, links not followed; null when nothing can be seen there.</summary>
    public static unsafe FileStatus? StatusOf(string path)
    {
        var buffer = stackalloc byte[256];
        return Statx(CurrentFolder, path, NoFollow, BasicStatus, buffer) == 0 ? new FileStatus(*(uint*)(buffer + 20), *(ushort*)(buffer + 28)) : null;
    }

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

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MakeFolder(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static unsafe partial int Statx(int folder, string path, int flags, uint mask, byte* buffer);

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

/// <param name="Mode">Kind and permissions, as the kernel gives them.</param>
internal readonly record struct FileStatus(uint Owner, ushort Mode)
{
    private const int KindMask = 0xf000;

    public bool IsRegularFile => (Mode & KindMask) == 0x8000;

    public bool IsFolder => (Mode & KindMask) == 0x4000;
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
