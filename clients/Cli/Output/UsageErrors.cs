using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;

namespace RenderTrust.Cli.Output;

/// <summary>What the parser says of a command line that it cannot take, in words for whoever wrote it.</summary>
internal static partial class UsageErrors
{
    private static readonly Dictionary<string, string> Kinds = new()
    {
        ["System.Int32"] = "whole number", ["System.Int64"] = "whole number", ["System.Decimal"] = "number", ["System.Guid"] = "id such as 01234567-89ab-7cde-8f01-23456789abcd",
    };

    public static CliException Of(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var path = new List<string>();
        for (var at = parsed.CommandResult; at is not null; at = at.Parent as CommandResult)
        {
            path.Insert(0, at.Command is RootCommand ? "rendertrust" : at.Command.Name);
        }

        var needed = command.Subcommands.Count > 0 && command.Action is null;
        var errors = needed && parsed.UnmatchedTokens.Count == 0
            ? [$"'{string.Join(' ', path)}' needs one of: {string.Join(", ", command.Subcommands.Select(child => child.Name))}."]
            : parsed.Errors.Select(error => Worded(error.Message)).Where(text => !needed || !text.StartsWith("Required command", StringComparison.Ordinal)).Distinct();
        return new CliException($"{string.Join(' ', errors)} See: ./{string.Join(' ', path)} --help", exitCode: 2);
    }

    private static string Worded(string message)
    {
        if (BadValue().Match(message) is not { Success: true } bad)
        {
            return message;
        }

        var (name, value) = (bad.Groups["name"].Value, bad.Groups["value"].Value);
        // An argument that has no name on the command line is told by its command's.
        return $"{(name.StartsWith('-') ? $"{name} is '{value}'" : $"'{name}' was given '{value}'")}, which is no {Kinds.GetValueOrDefault(bad.Groups["type"].Value, "value that it takes")}.";
    }

    [GeneratedRegex("""^Cannot parse argument '(?<value>.*?)'( for (option|command|argument) '(?<name>[^']*)')? as expected type '(System\.Nullable`1\[)?(?<type>[^'\[\]]*)""", RegexOptions.Singleline)]
    private static partial Regex BadValue();
}
