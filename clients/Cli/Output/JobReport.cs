using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Output;

/// <summary>A job for people: what ran where and why, what it cost, how fast the platform was.</summary>
internal static class JobReport
{
    public static string Coloured(JobStatus status) => status switch
    {
        JobStatus.Completed => "[green]completed[/]",
        JobStatus.Failed => "[red]failed[/]",
        JobStatus.Canceled => "[yellow]canceled[/]",
        _ => status.ToString().ToLowerInvariant(),
    };

    public static double P95(JobSummary summary, string name) => summary.Timings.FirstOrDefault(timing => timing.Name == name)?.P95Ms ?? 0;

    public static void Write(IAnsiConsole console, JobSummary summary)
    {
        var attempts = summary.Units.SelectMany(unit => unit.Attempts).ToList();
        var meteredMs = attempts.Sum(attempt => attempt.MeteredMilliseconds ?? 0);
        var decision = attempts.FirstOrDefault()?.Decision;
        var table = new Table().RoundedBorder().HideHeaders().AddColumn("").AddColumn("");
        void Row(string name, string value) => table.AddRow(new Markup($"[grey]{Markup.Escape(name)}[/]"), new Markup(value));
        Row("job", summary.JobId.ToString());
        Row("status", Coloured(summary.Status) + (summary.Reason is { Length: > 0 } reason ? Markup.Escape($": {reason}") : ""));
        Row("module", Markup.Escape(summary.Module));
        Row("units", $"{summary.UnitsCompleted} of {summary.UnitCount} completed, {attempts.Count} attempts");
        Row("nodes", Markup.Escape(string.Join(", ", attempts.GroupBy(attempt => (attempt.NodeName, attempt.Runner)).Select(group => $"{group.Key.NodeName} ({group.Key.Runner}, {group.Count()} attempts)"))));
        if (decision is not null)
        {
            Row("why", Markup.Escape(decision.Explanation));
        }

        Row("device time", $"{meteredMs / 60_000.0:0.000} minutes");
        Row("held / charged / released", $"{Tables.Credits(summary.Money.HeldMicrocredits)} / {Tables.Credits(summary.Money.ChargedMicrocredits)} / {Tables.Credits(summary.Money.ReleasedMicrocredits)}");
        Row("node / developer / platform", $"{Tables.Credits(summary.Money.NodeEarnedMicrocredits)} / {Tables.Credits(summary.Money.DeveloperEarnedMicrocredits)} / {Tables.Credits(summary.Money.PlatformEarnedMicrocredits)}");
        foreach (var (name, limitMs) in new[] { ("submit", 50), ("dispatch", 80), ("return", 80), ("ledgerHandover", 5) })
        {
            if (summary.Timings.FirstOrDefault(timing => timing.Name == name) is { } timing)
            {
                Row($"{name} p95", $"{timing.P95Ms:0.0} ms [grey](limit {limitMs}, {timing.Count} measured)[/]");
            }
        }

        console.Write(table);
    }
}
