using System.Text.RegularExpressions;
using RenderTrust.Contracts;

namespace RenderTrust.Architecture.Tests;

/// <summary>The crash campaign proves that every failpoint was hit; so the list has to be what is in the code.</summary>
public sealed partial class FailpointTests
{
    [Fact]
    public void Every_failpoint_of_the_list_is_at_one_place_of_the_code_and_none_is_missing_from_it()
    {
        var used = new[] { "libs", "services", "gateway", "edge", "clients" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(TestKit.RepositoryFolder.Root, folder), "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/node_modules/", StringComparison.Ordinal))
            .SelectMany(file => Hit().Matches(File.ReadAllText(file)).Select(match => match.Groups["name"].Value))
            .Order(StringComparer.Ordinal);

        Assert.Equal(Failpoints.All.Order(StringComparer.Ordinal), used);
    }

    [Fact]
    public void Failpoints_are_named_by_their_part_effect_and_place()
    {
        Assert.All(Failpoints.All, name => Assert.Matches("^[a-z]+\\.[a-z]+\\.(before|after)[A-Za-z]*$", name));
    }

    [GeneratedRegex("Failpoint\\.Hit\\(\"(?<name>[^\"]*)\"\\)")]
    private static partial Regex Hit();
}
