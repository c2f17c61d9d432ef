using System.Reflection;
using NBomber.CSharp;
using RenderTrust.TestKit.Surface;

namespace RenderTrust.NBomber.Tests.Surface;

/// <summary>Our implementation has the official members, no others, and the repository uses no others.</summary>
public sealed class SurfaceTests
{
    private const string Name = "NBomber";
    private static readonly MemberList Listed = new("tests/NBomber.Tests/Surface/OfficialMembers.txt");
    private static readonly Assembly Main = typeof(NBomberRunner).Assembly;

    /// <summary>The official package has its contracts in an assembly of their own.</summary>
    private static readonly IReadOnlyList<Assembly> Assemblies =
        [Main, .. Main.GetReferencedAssemblies().Where(name => name.Name!.StartsWith(Name, StringComparison.Ordinal)).Select(Assembly.Load)];

    // The official package is written in another language, whose records and modules are other kinds of classes.
    private static readonly IReadOnlyList<string> Present = [.. Assemblies.SelectMany(PublicMembers.Of).Select(AnyClass)];

    private static bool IsOurs => Main.GetType("NBomber.Running.Session") is not null;

    [Fact]
    public void Every_official_member_on_the_list_is_there_with_its_parameter_names_and_defaults()
    {
        Assert.Empty(Listed.Lines.Except(Present));
    }

    [Fact]
    public void We_offer_nothing_that_the_official_package_lacks()
    {
        Assert.SkipUnless(IsOurs, "The official package is under test.");

        Assert.Empty(Present.Except(Listed.Lines));
    }

    [Fact]
    public void The_list_covers_all_that_the_repositorys_code_uses()
    {
        var hidden = Assemblies.SelectMany(assembly => assembly.GetTypes()).Where(type => !type.IsVisible).Select(type => type.FullName!).ToList();

        var (unlisted, uses) = Listed.UsesOf(Name, hidden);

        Assert.True(uses > 30, $"Only {uses} uses of {Name} were found: are the projects built in Release?");
        Assert.Empty(unlisted);
    }

    [Fact]
    public async Task One_property_takes_the_official_package_in_the_place_of_ours()
    {
        const string project = "tests/NBomber.Tests/NBomber.Tests.csproj";

        var ours = await ProjectItems.OfAsync(project, officialPackages: false, TestContext.Current.CancellationToken);
        var official = await ProjectItems.OfAsync(project, officialPackages: true, TestContext.Current.CancellationToken);

        Assert.Contains(ours.Projects, reference => reference.EndsWith("libs/compat/NBomber/NBomber.csproj", StringComparison.Ordinal));
        Assert.DoesNotContain(Name, ours.Packages);
        Assert.DoesNotContain(official.Projects, reference => reference.Contains("compat", StringComparison.Ordinal));
        Assert.Contains(Name, official.Packages);
        Assert.Contains(Name, official.Versions);
    }

    private static string AnyClass(string line) => line.StartsWith("type ", StringComparison.Ordinal) && line.EndsWith("class", StringComparison.Ordinal)
        ? line[..(line.IndexOf(" : ", StringComparison.Ordinal) + 3)] + "class"
        : line;
}
