using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>A mistake in YAML stops the sidecar at once, and says where it is and how to put it right.</summary>
public sealed class SidecarConfigurationTests : IDisposable
{
    private const string GoodComponent =
        """
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: cache
        spec:
          type: state.in-memory
          version: v1
          metadata: []
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("e2e-yaml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("  type: state.in-memory", "  type: [state.in-memory", "yaml", null)]
    [InlineData("  type: state.in-memory", "  typo: state.in-memory", "typo", null)]
    [InlineData("  type: state.in-memory", "  type: state.imaginary", "type", "state.imaginary")]
    [InlineData("kind: Component", "kind: Compnent", "kind", "Compnent")]
    [InlineData("  name: cache", "  nmae: cache", "metadata.name", null)]
    [InlineData("  metadata: []", "  metadata: {}", "metadata", null)]
    public async Task A_broken_component_is_named_by_file_line_and_field(string good, string bad, string field, string? value)
    {
        var text = GoodComponent.Replace(good, bad, StringComparison.Ordinal);
        Assert.NotEqual(GoodComponent, text);
        var line = Array.FindIndex(text.Split('\n'), found => found == bad) + 1;

        var result = await RunAsync(text, "version: 1\ncommon:\n  resourcesPath: ./components\napps:\n  - appID: nobody\n    appDirPath: .\n    appPort: 0\n    command: [\"true\"]\n");

        Assert.True(result.ExitCode == 2, result.ToString());
        Assert.Contains("cache.yaml", result.Error, StringComparison.Ordinal);
        Assert.Contains(field, result.Error, StringComparison.Ordinal);
        Assert.True(Enumerable.Range(line - 1, 3).Any(near => result.Error.Contains($":{near}", StringComparison.Ordinal) || result.Error.Contains($"line {near}", StringComparison.Ordinal)), $"line {line} is not named: {result}");
        if (value is not null)
        {
            Assert.Contains(value, result.Error, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("   at RenderTrust", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("    appPort: 0", "    appPort: eighty", "appPort")]
    [InlineData("  - appID: nobody", "  - appId: nobody", "appId")]
    public async Task A_broken_run_file_is_named_likewise(string good, string bad, string field)
    {
        const string run = "version: 1\ncommon:\n  resourcesPath: ./components\napps:\n  - appID: nobody\n    appDirPath: .\n    appPort: 0\n    command: [\"true\"]\n";

        var result = await RunAsync(GoodComponent, run.Replace(good, bad, StringComparison.Ordinal));

        Assert.True(result.ExitCode == 2, result.ToString());
        Assert.Contains("dapr.yaml", result.Error, StringComparison.Ordinal);
        Assert.Contains(field, result.Error, StringComparison.Ordinal);
    }

    private async Task<ProgramResult> RunAsync(string component, string run)
    {
        Directory.CreateDirectory(Path.Combine(_folder, "components"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "components", "cache.yaml"), component, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(_folder, "dapr.yaml"), run, TestContext.Current.CancellationToken);
        return await Programs.DotnetAsync(
            [Repository.Sidecar, "run", "-f", Path.Combine(_folder, "dapr.yaml"), "--log-dir", _folder], null, TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
    }
}
