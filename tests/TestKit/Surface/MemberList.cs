namespace RenderTrust.TestKit.Surface;

/// <summary>
/// The checked-in list of an official package's members that our own implementation of it has and the repository's code may use: a line a member, in the
/// notation of <see cref="PublicMembers"/>, <c>#</c> for remarks.
/// </summary>
public sealed class MemberList(string file)
{
    public IReadOnlyList<string> Lines { get; } = [.. File.ReadLines(Path.Combine(RepositoryFolder.Root, file)).Where(line => line.Length > 0 && line[0] != '#')];

    /// <summary>Uses of the library in all the repository's code that the list does not have; the second is how many uses were found at all.</summary>
    /// <param name="library">Beginning of the names of its assemblies.</param>
    /// <param name="hidden">Full names of types that only its own tests look into.</param>
    public (IReadOnlyList<string> Unlisted, int Uses) UsesOf(string library, IReadOnlyCollection<string> hidden)
    {
        var keys = Lines.Select(Key).ToHashSet();
        var used = Assemblies()
            .SelectMany(path => UsedMembers.Of(path, library).Select(member => (Assembly: Path.GetFileName(path), Member: member)))
            .Where(use => !hidden.Any(type => use.Member.Contains(type, StringComparison.Ordinal)))
            .ToList();
        return ([.. used.Where(use => !keys.Contains(use.Member)).Select(use => $"{use.Assembly}: {use.Member}")], used.Count);
    }

    private static string Key(string line)
    {
        var end = line.IndexOf(line.StartsWith("type ", StringComparison.Ordinal) ? " : " : line.Contains(" = ", StringComparison.Ordinal) && !line.Contains('|', StringComparison.Ordinal) ? " = " : " | ", StringComparison.Ordinal);
        return end < 0 ? line : line[..end];
    }

    // Every project's own assembly as it was built last; another configuration's would be an older one.
    private static IEnumerable<string> Assemblies() =>
        new[] { "services", "gateway", "edge", "clients", "tests", "libs", "load" }
            .Select(folder => Path.Combine(RepositoryFolder.Root, folder)).Where(Directory.Exists)
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*.csproj", SearchOption.AllDirectories))
            .Where(project => !project.Contains("/node_modules/", StringComparison.Ordinal))
            .Select(project => Path.Combine(Path.GetDirectoryName(project)!, "bin", "Release", "net10.0", $"RenderTrust.{Path.GetFileNameWithoutExtension(project)}.dll"))
            .Where(File.Exists);
}
