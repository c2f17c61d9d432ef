using System.Diagnostics;
using System.Text.Json;

namespace RenderTrust.Workflow.Tests.Surface;

public sealed class SwitchTests
{
    private static string Root => Environment.GetEnvironmentVariable("RENDERTRUST_ROOT")!;

    [Fact]
    public async Task One_property_takes_the_official_package_in_the_place_of_ours()
    {
        var (ours, official) = (await ItemsAsync("false"), await ItemsAsync("true"));

        Assert.Contains(ours.Projects, project => project.EndsWith("libs/compat/Dapr.Workflow/Dapr.Workflow.csproj", StringComparison.Ordinal));
        Assert.DoesNotContain("Dapr.Workflow", ours.Packages);
        Assert.DoesNotContain(official.Projects, project => project.Contains("compat", StringComparison.Ordinal));
        Assert.Contains("Dapr.Workflow", official.Packages);
        Assert.Contains("Dapr.Workflow", official.Versions);
    }

    private static async Task<(List<string> Projects, List<string> Packages, List<string> Versions)> ItemsAsync(string officialPackages)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList =
            {
                "msbuild", Path.Combine(Root, "tests", "Workflow.Tests", "Workflow.Tests.csproj"), $"-p:OfficialPackages={officialPackages}",
                "-getItem:ProjectReference", "-getItem:PackageReference", "-getItem:PackageVersion",
            },
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        var text = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, text);
        var items = JsonDocument.Parse(text).RootElement.GetProperty("Items");
        List<string> Of(string kind) => [.. items.GetProperty(kind).EnumerateArray().Select(item => item.GetProperty("Identity").GetString()!)];
        return (Of("ProjectReference"), Of("PackageReference"), Of("PackageVersion"));
    }
}
