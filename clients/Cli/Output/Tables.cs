using Spectre.Console;

namespace RenderTrust.Cli.Output;

/// <summary>The same look for every table, and money for people.</summary>
internal static class Tables
{
    public static Table Facts(params (string Name, string Value)[] rows)
    {
        var table = new Table().RoundedBorder().HideHeaders().AddColumn("").AddColumn("");
        foreach (var (name, value) in rows)
        {
            table.AddRow(new Markup($"[grey]{Markup.Escape(name)}[/]"), new Text(value));
        }

        return table;
    }

    /// <summary>Credits with six decimals: every micro-credit is shown.</summary>
    public static string Credits(long microcredits) => $"{microcredits / 1_000_000m:0.000000} cr";
}
