using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Tests;

/// <summary>A dapr.yaml that the platform cannot be started from is told with its line and field.</summary>
public sealed class SidecarConfigurationTests
{
    [Theory]
    [InlineData("apps: [", 1, "")]
    [InlineData("", 1, "document")]
    [InlineData("- a", 1, "document")]
    [InlineData("version: 1", 1, "apps: is missing")]
    [InlineData("version: 1\napps: x", 1, "apps: is of another kind")]
    [InlineData("version: 1\napps:\n  - 7", 3, "apps: has an item that is no mapping")]
    [InlineData("version: 1\napps:\n  - appID: gateway", 3, "appDirPath: is missing")]
    [InlineData("version: 1\napps:\n  - {appID: [x], appDirPath: a, command: [a]}", 3, "appID: is of another kind")]
    public void A_damaged_run_file_is_told_with_its_line_and_field(string yaml, int line, string expected)
    {
        var folder = Directory.CreateTempSubdirectory("rt-cli-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "dapr.yaml"), yaml);
            var refused = Assert.Throws<CliException>(() => SidecarConfiguration.ReadServices(new PlatformPaths(folder, "none")));

            Assert.StartsWith(yaml.StartsWith("apps: [", StringComparison.Ordinal) ? Path.Combine(folder, "dapr.yaml") : $"{Path.Combine(folder, "dapr.yaml")}:{line}: {expected}", refused.Message, StringComparison.Ordinal);
            Assert.Contains("git checkout dapr.yaml", refused.Message, StringComparison.Ordinal);
            Assert.Equal(2, refused.ExitCode);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
