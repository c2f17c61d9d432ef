namespace RenderTrust.Workflow.Tests.Surface;

/// <summary>Our implementation has the official members, no others, and the platform uses no others.</summary>
public sealed class SurfaceTests
{
    private static string Root => Environment.GetEnvironmentVariable("RENDERTRUST_ROOT") ?? throw new InvalidOperationException("RENDERTRUST_ROOT is not set. tests/run sets it to the repository's folder.");

    private static string ListFile => Path.Combine(Root, "tests", "Workflow.Tests", "Surface", "OfficialMembers.txt");

    private static readonly IReadOnlyList<string> Present =
        [.. Implementation.Assemblies.SelectMany(PublicMembers.Of)];

    private static IReadOnlyList<string> Listed => [.. File.ReadLines(ListFile).Where(line => line.Length > 0 && line[0] != '#')];

    [Fact]
    public void Every_official_member_on_the_list_is_there_with_its_parameter_names_and_defaults()
    {
        Assert.Empty(Listed.Except(Present));
    }

    [Fact]
    public void We_offer_nothing_that_the_official_package_lacks()
    {
        Assert.SkipUnless(Implementation.IsOurs, "The official package is under test.");

        Assert.Empty(Present.Except(Listed));
    }

    [Fact]
    public void The_list_covers_all_that_the_repositorys_code_uses()
    {
        var keys = Listed.Select(Key).ToHashSet();
        var hidden = Implementation.Assemblies.SelectMany(assembly => assembly.GetTypes()).Where(type => !type.IsVisible).Select(type => type.FullName!).ToList();
        var used = Assemblies().SelectMany(path => UsedMembers.Of(path, Implementation.Name).Select(member => (Assembly: Path.GetFileName(path), Member: member)))
            // This suite looks inside our implementation as well.
            .Where(use => !hidden.Exists(type => use.Member.Contains(type, StringComparison.Ordinal)))
            .ToList();

        Assert.True(used.Count > 30, $"Only {used.Count} uses of {Implementation.Name} were found: are the projects built in Release?");
        Assert.DoesNotContain(used, use => !keys.Contains(use.Member));
    }

    private static string Key(string line)
    {
        var end = line.IndexOf(line.StartsWith("type ", StringComparison.Ordinal) ? " : " : line.Contains(" = ", StringComparison.Ordinal) && !line.Contains('|', StringComparison.Ordinal) ? " = " : " | ", StringComparison.Ordinal);
        return end < 0 ? line : line[..end];
    }

    // Every project's own assembly as it was built last; another configuration's would be an older one.
    private static IEnumerable<string> Assemblies() =>
        new[] { "services", "gateway", "edge", "clients", "tests", "libs" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
            .Where(project => !project.Contains("/node_modules/", StringComparison.Ordinal))
            .Select(project => Path.Combine(Path.GetDirectoryName(project)!, "bin", "Release", "net10.0", $"RenderTrust.{Path.GetFileNameWithoutExtension(project)}.dll"))
            .Where(File.Exists);
}
