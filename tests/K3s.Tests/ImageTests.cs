using System.Diagnostics;
using System.Text.RegularExpressions;

namespace RenderTrust.K3s.Tests;

public sealed partial class ImageTests
{
    [Fact]
    public void Every_image_of_ours_is_a_target_of_the_Dockerfile_and_the_other_way_round()
    {
        var targets = Target().Matches(File.ReadAllText(Path.Combine(Manifests.Root, "images", "Dockerfile"))).Select(match => match.Groups[1].Value).ToList();
        var used = Manifests.Folders.SelectMany(folder => Manifests.Of(folder).Workloads()).SelectMany(workload => workload.Containers)
            .Where(container => container.Image.StartsWith("rendertrust/", StringComparison.Ordinal)).Select(container => container.Image["rendertrust/".Length..].Split(':')[0]);

        Assert.Equal(targets.Order(StringComparer.Ordinal), used.Distinct().Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("no tag", "")]
    [InlineData("RUNTIME_IMAGE is not set", "1.0.0")]
    public async Task The_build_script_guesses_nothing(string says, string tag)
    {
        var start = new ProcessStartInfo(Path.Combine(Manifests.Root, "images", "build.sh"), tag.Length == 0 ? [] : [tag]) { RedirectStandardError = true };
        using var script = Process.Start(start)!;
        var errors = await script.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await script.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(2, script.ExitCode);
        Assert.Contains(says, errors, StringComparison.Ordinal);
    }

    [GeneratedRegex("^FROM base AS (\\w+)", RegexOptions.Multiline)]
    private static partial Regex Target();
}
