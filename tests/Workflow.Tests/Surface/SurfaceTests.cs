using RenderTrust.TestKit.Surface;

namespace RenderTrust.Workflow.Tests.Surface;

/// <summary>Our implementation has the official members, no others, and the platform uses no others.</summary>
public sealed class SurfaceTests
{
    private static readonly MemberList Listed = new("tests/Workflow.Tests/Surface/OfficialMembers.txt");

    private static readonly IReadOnlyList<string> Present =
        [.. Implementation.Assemblies.SelectMany(PublicMembers.Of)];

    [Fact]
    public void Every_official_member_on_the_list_is_there_with_its_parameter_names_and_defaults()
    {
        Assert.Empty(Listed.Lines.Except(Present));
    }

    [Fact]
    public void We_offer_nothing_that_the_official_package_lacks()
    {
        Assert.SkipUnless(Implementation.IsOurs, "The official package is under test.");

        Assert.Empty(Present.Except(Listed.Lines));
    }

    [Fact]
    public void The_list_covers_all_that_the_repositorys_code_uses()
    {
        // This suite looks inside our implementation as well.
        var hidden = Implementation.Assemblies.SelectMany(assembly => assembly.GetTypes()).Where(type => !type.IsVisible).Select(type => type.FullName!).ToList();

        var (unlisted, uses) = Listed.UsesOf(Implementation.Name, hidden);

        Assert.True(uses > 30, $"Only {uses} uses of {Implementation.Name} were found: are the projects built in Release?");
        Assert.Empty(unlisted);
    }
}
