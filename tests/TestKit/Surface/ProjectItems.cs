using System.Diagnostics;
using System.Text.Json;

namespace RenderTrust.TestKit.Surface;

/// <summary>What a project refers to, as MSBuild evaluates it with our stand-ins or with the official packages.</summary>
public sealed record ProjectItems(IReadOnlyList<string> Projects, IReadOnlyList<string> Packages, IReadOnlyList<string> Versions)
{
    public static async Task<ProjectItems> OfAsync(string project, bool officialPackages, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList =
            {
                "msbuild", Path.Combine(RepositoryFolder.Root, project), $"-p:OfficialPackages={(officialPackages ? "true" : "false")}",
                "-getItem:ProjectReference", "-getItem:PackageReference", "-getItem:PackageVersion",
            },
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        var text = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException(text);
        }

        var items = JsonDocument.Parse(text).RootElement.GetProperty("Items");
        List<string> Of(string kind) => [.. items.GetProperty(kind).EnumerateArray().Select(item => item.GetProperty("Identity").GetString()!)];
        return new ProjectItems(Of("ProjectReference"), Of("PackageReference"), Of("PackageVersion"));
    }
}
