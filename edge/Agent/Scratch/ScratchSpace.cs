using System.Globalization;

namespace RenderTrust.Agent.Scratch;

/// <summary>Raised when opened assets would not fit; the text names the need and the limit.</summary>
internal sealed class ScratchFullException(string message) : Exception(message);

/// <summary>
/// Memory-backed folders for plaintext. Nothing that was opened ever touches a disk: the root must be a tmpfs,
/// and everything below it is wiped when an agent starts and when a folder's owner is done.
/// </summary>
internal sealed class ScratchSpace
{
    private readonly Lock _lock = new();
    private long _reservedBytes;

    private ScratchSpace(string root, long limitBytes)
    {
        Root = root;
        LimitBytes = limitBytes;
    }

    public string Root { get; }

    public long LimitBytes { get; }

    public long ReservedBytes
    {
        get
        {
            lock (_lock)
            {
                return _reservedBytes;
            }
        }
    }

    /// <summary>Opens the space of one node and wipes what an earlier life left there.</summary>
    /// <param name="parent">A memory-backed folder; <c>/dev/shm</c> unless configured.</param>
    public static ScratchSpace Open(string parent, string nodeId, long limitBytes)
    {
        var type = FileSystemType(parent);
        if (type is not ("tmpfs" or "ramfs"))
        {
            throw new Hosting.NodeStartException(
                $"Scratch folder '{parent}' is on {type ?? "an unknown file system"}, not in memory: opened assets would reach a disk. "
                + "Mount a tmpfs there or set --scratch to one (usually /dev/shm).");
        }

        var root = Path.Combine(parent, "rendertrust-" + nodeId);
        try
        {
            Wipe(root);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw NotOurs(root, exception.Message);
        }

        // The parent is everyone's: another user may have this name first, and a folder that is not ours would show them all that is opened.
        if (Native.MakePrivateFolder(root) is { } refusal)
        {
            throw NotOurs(root, refusal);
        }

        if (Native.StatusOf(root) is not { IsFolder: true } made || made.Owner != Native.UserId)
        {
            throw NotOurs(root, "another user's");
        }

        return new ScratchSpace(root, limitBytes);
    }

    private static Hosting.NodeStartException NotOurs(string root, string cause) => new(
        $"Scratch folder '{root}' cannot be made by this user alone ({cause}). Remove what has that name, or set --scratch to a memory-backed folder of the agent's own.");

    /// <summary>Makes a folder whose opened assets may take up to <paramref name="bytes"/>; refuses when the sum would pass the limit.</summary>
    public ScratchFolder Reserve(string name, long bytes)
    {
        lock (_lock)
        {
            if (_reservedBytes + bytes > LimitBytes)
            {
                throw new ScratchFullException(string.Create(CultureInfo.InvariantCulture,
                    $"Opened assets need {bytes} bytes of memory-backed scratch; {LimitBytes - _reservedBytes} of {LimitBytes} are free on this node. Raise --scratch-bytes or split the job's assets."));
            }

            _reservedBytes += bytes;
        }

        var path = Path.Combine(Root, name);
        Directory.CreateDirectory(path, Modes.Private);
        return new ScratchFolder(path, () => Release(bytes));
    }

    /// <summary>
    /// Makes a folder that a module may write up to <paramref name="bytes"/> to. As root it is a tmpfs of exactly that size;
    /// otherwise the runner has to watch it.
    /// </summary>
    public ScratchFolder ReserveWritable(string name, long bytes)
    {
        var folder = Reserve(name, bytes);
        if (Native.IsRoot && Native.MountTmpfs(folder.Path, bytes, "1777") is null)
        {
            folder.SizeIsEnforced = true;
        }

        Modes.OpenForModule(folder.Path, writable: true);
        return folder;
    }

    /// <summary>Removes a tree, including file systems mounted in it.</summary>
    public static void Wipe(string path)
    {
        if (!Directory.Exists(path))
        {
            return;
        }

        foreach (var mount in MountsBelow(path))
        {
            _ = Native.Unmount(mount);
        }

        Directory.Delete(path, recursive: true);
    }

    private void Release(long bytes)
    {
        lock (_lock)
        {
            _reservedBytes -= bytes;
        }
    }

    // Deepest first, so that a mount inside a mount does not keep the outer one busy.
    private static IEnumerable<string> MountsBelow(string path) =>
        Mounts().Select(mount => mount.Point).Where(point => point == path || point.StartsWith(path + "/", StringComparison.Ordinal))
            .OrderByDescending(point => point.Length);

    private static string? FileSystemType(string path)
    {
        var full = Path.GetFullPath(path);
        return Mounts().Where(mount => full == mount.Point || mount.Point == "/" || full.StartsWith(mount.Point + "/", StringComparison.Ordinal))
            .OrderBy(mount => mount.Point.Length).LastOrDefault().Type;
    }

    // Lines of mountinfo: id parent major:minor root point options [tags] - type source options.
    private static (string Point, string Type)[] Mounts() =>
        [.. File.ReadLines("/proc/self/mountinfo").Select(line =>
        {
            var fields = line.Split(' ');
            var separator = Array.IndexOf(fields, "-");
            return (fields[4].Replace("\\040", " ", StringComparison.Ordinal), fields[separator + 1]);
        })];
}

/// <summary>One reserved folder; disposing wipes it and gives the reservation back.</summary>
internal sealed class ScratchFolder(string path, Action release) : IDisposable
{
    private bool _disposed;

    public string Path { get; } = path;

    /// <summary>The kernel refuses writes past the size; when false, the runner measures and kills.</summary>
    public bool SizeIsEnforced { get; set; }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        ScratchSpace.Wipe(Path);
        release();
    }
}

/// <summary>Permissions: parents private to the agent, what a sandbox mounts readable by any user inside it.</summary>
internal static class Modes
{
    public const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    public const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    public const UnixFileMode ReadableFile = PrivateFile | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    public const UnixFileMode ReadableFolder = Private | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;
    public const UnixFileMode OpenFolder = ReadableFolder | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    public static void OpenForModule(string folder, bool writable) =>
        File.SetUnixFileMode(folder, writable ? OpenFolder : ReadableFolder);
}
