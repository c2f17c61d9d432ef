using System.Text.RegularExpressions;

namespace RenderTrust.Architecture.Tests;

/// <summary>Reads the sources for what no analyzer knows.</summary>
public sealed partial class SourceTests
{
    private static readonly string Root = TestKit.RepositoryFolder.Root;

    [Fact]
    public void No_reminder_is_left_in_the_tree()
    {
        var left = Sources().Where(file => Reminder().IsMatch(File.ReadAllText(file))).ToList();

        Assert.Empty(left);
    }

    [Fact]
    public void Environment_variables_are_read_only_where_a_process_starts()
    {
        // The list may only shrink.
        string[] allowed = ["clients/Cli/", "edge/Sidecar/", "edge/Agent/", "libs/ServiceDefaults/", "tests/"];
        var wrong = Sources()
            .Select(file => Path.GetRelativePath(Root, file))
            .Where(path => !path.EndsWith("Program.cs", StringComparison.Ordinal) && !allowed.Any(prefix => path.StartsWith(prefix, StringComparison.Ordinal)))
            .Where(path => File.ReadAllText(Path.Combine(Root, path)).Contains("Environment.GetEnvironmentVariable", StringComparison.Ordinal))
            .ToList();

        Assert.Empty(wrong);
    }

    [Fact]
    public void Log_messages_come_from_generated_methods_only()
    {
        var wrong = Sources().Where(file => !Path.GetRelativePath(Root, file).StartsWith("tests/", StringComparison.Ordinal))
            .Where(file => DirectLog().IsMatch(File.ReadAllText(file))).ToList();

        Assert.Empty(wrong);
    }

    private static IEnumerable<string> Sources() =>
        new[] { "libs", "services", "gateway", "edge", "clients", "tests" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal) && !file.Contains("/node_modules/", StringComparison.Ordinal));

    // Written in two halves so that this file does not find itself.
    [GeneratedRegex("\\b(TO" + "DO|FIX" + "ME|HA" + "CK)\\b")]
    private static partial Regex Reminder();

    [GeneratedRegex("\\.Log(Trace|Debug|Information|Warning|Error|Critical)\\(")]
    private static partial Regex DirectLog();
}
