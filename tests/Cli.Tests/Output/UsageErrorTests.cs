using System.CommandLine;
using System.CommandLine.Invocation;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Tests.Output;

/// <summary>A wrong command line is told in its writer's words: which argument, its value, what it takes, where to read on.</summary>
public sealed class UsageErrorTests
{
    [Theory]
    [InlineData("submit scene.pov --frames ten", "--frames is 'ten', which is no whole number. See: ./rendertrust submit --help")]
    [InlineData("submit scene.pov --cap much", "--cap is 'much', which is no number.")]
    [InlineData("keys revoke seven", "'revoke' was given 'seven', which is no id such as")]
    [InlineData("submit", "'submit'")]
    [InlineData("keys", "'rendertrust keys' needs one of: show, revoke. See: ./rendertrust keys --help")]
    [InlineData("keys shwo", "'shwo'")]
    [InlineData("sumbit", "Unrecognized command or argument 'sumbit'. See: ./rendertrust --help")]
    public void A_wrong_argument_is_named_with_its_value_and_a_remedy(string line, string expected)
    {
        var root = new RootCommand("RenderTrust")
        {
            new Command("submit", "Submits.") { new Argument<string>("scene"), new Option<int>("--frames"), new Option<decimal?>("--cap") },
            new Command("keys", "Keys.") { new Command("show", "Shows."), new Command("revoke", "Revokes.") { new Argument<Guid>("id") } },
        };
        root.Subcommands.ToList().ForEach(command => command.Subcommands.Prepend(command).Where(leaf => leaf.Subcommands.Count == 0).ToList().ForEach(leaf => leaf.SetAction(_ => 0)));
        var parsed = root.Parse(line.Split(' '));

        Assert.IsType<ParseErrorAction>(parsed.Action);
        var error = UsageErrors.Of(parsed);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Contains("--help", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("System.", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, error.ExitCode);
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_refused_and_one_that_can_is_left_as_it_was()
    {
        var folder = Directory.CreateTempSubdirectory("rt-cli-").FullName;
        var file = Path.Combine(folder, "new", "result.json");
        try
        {
            var folderInstead = Assert.Throws<CliException>(() => OutputFiles.Prepare("--json", folder));
            var nowhere = Assert.Throws<CliException>(() => OutputFiles.Prepare("--json", "/proc/none/result.json"));

            Assert.StartsWith($"--json is '{folder}', which is a folder", folderInstead.Message, StringComparison.Ordinal);
            Assert.StartsWith("--json is '/proc/none/result.json', which cannot be written", nowhere.Message, StringComparison.Ordinal);
            Assert.Equal(file, OutputFiles.Prepare("--json", file));
            Assert.False(File.Exists(file));
            Assert.Null(OutputFiles.Prepare("--json", null));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
