using RenderTrust.TestKit.Surface;

namespace RenderTrust.Workflow.Tests.Surface;

public sealed class SwitchTests
{
    private const string Project = "tests/Workflow.Tests/Workflow.Tests.csproj";

    [Fact]
    public async Task One_property_takes_the_official_package_in_the_place_of_ours()
    {
        var ours = await ProjectItems.OfAsync(Project, officialPackages: false, TestContext.Current.CancellationToken);
        var official = await ProjectItems.OfAsync(Project, officialPackages: true, TestContext.Current.CancellationToken);

        Assert.Contains(ours.Projects, project => project.EndsWith("libs/compat/Dapr.Workflow/Dapr.Workflow.csproj", StringComparison.Ordinal));
        Assert.DoesNotContain("Dapr.Workflow", ours.Packages);
        Assert.DoesNotContain(official.Projects, project => project.Contains("compat", StringComparison.Ordinal));
        Assert.Contains("Dapr.Workflow", official.Packages);
        Assert.Contains("Dapr.Workflow", official.Versions);
    }
}
