using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.Cli.Platform;

/// <summary>
/// Where a local platform keeps its things. Not in the clone itself: Postgres never runs as root, and its user cannot enter a clone
/// under /root. The clone gets a link, <c>.rendertrust</c>, so that people find it.
/// </summary>
internal sealed class PlatformPaths
{
    public PlatformPaths(string repositoryRoot, string instance)
    {
        RepositoryRoot = Path.GetFullPath(repositoryRoot);
        Instance = instance;
        var user = Environment.UserName == "root" ? "0" : Environment.UserName;
        var clone = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(RepositoryRoot)))[..8];
        Shared = Path.Combine("/var/tmp", $"rendertrust-{user}");
        Home = Path.Combine(Shared, clone);
        Root = Path.Combine(Home, instance);
    }

    public string RepositoryRoot { get; }

    /// <summary><c>platform</c> for <c>up</c>, <c>demo-…</c> for one run of the demo.</summary>
    public string Instance { get; }

    /// <summary>Of the user, for all clones: module images that were built once.</summary>
    public string Shared { get; }

    public string Home { get; }

    public string Root { get; }

    public string Cache => Path.Combine(Shared, "cache");

    public string Logs => Path.Combine(Root, "logs");

    public string Postgres => Path.Combine(Root, "postgres");

    public string Registry => Path.Combine(Home, "registry");

    public string Blobs => Path.Combine(Root, "blobs");

    public string Keys => Path.Combine(Root, "keys");

    public string Configuration => Path.Combine(Root, "configuration");

    public string Profiles => Path.Combine(Root, "profiles");

    /// <summary>The overflow pool's key, and its agents' state and logs.</summary>
    public string Overflow => Path.Combine(Root, "overflow");

    public string StateFile => Path.Combine(Root, "state.json");

    public string SidecarStatusFile => Path.Combine(Root, "sidecar.json");

    public string NodeState(int index) => Path.Combine(Root, "nodes", $"node-{index}");

    public string Log(string name) => Path.Combine(Logs, $"{name}.log");

    public void CreateFolders()
    {
        CreatePrivate(Shared, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        CreatePrivate(Home, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        CreatePrivate(Root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        foreach (var folder in new[] { Logs, Registry, Blobs, Keys, Configuration, Profiles, Cache })
        {
            CreatePrivate(folder);
        }

        var link = Path.Combine(RepositoryRoot, ".rendertrust");
        if (!Path.Exists(link) && new FileInfo(link).LinkTarget is null)
        {
            Directory.CreateSymbolicLink(link, Home);
        }
    }

    public static void CreatePrivate(string folder) => CreatePrivate(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    /// <summary>Replaces a file whole, readable by this user alone from its first moment.</summary>
    public static async Task WritePrivateAsync(string file, string text, CancellationToken cancellationToken)
    {
        var fresh = file + ".new";
        await using (var writer = new StreamWriter(new FileStream(
            fresh, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite })))
        {
            await writer.WriteAsync(text.AsMemory(), cancellationToken);
        }

        File.Move(fresh, file, overwrite: true);
    }

    private static void CreatePrivate(string folder, UnixFileMode mode)
    {
        Directory.CreateDirectory(folder);
        File.SetUnixFileMode(folder, mode);
    }
}
