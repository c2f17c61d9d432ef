using System.Text;
using NBomber.Contracts.Stats;

namespace NBomber.Reports;

internal static class MarkdownReport
{
    public static string Build(NodeStats stats)
    {
        var text = new StringBuilder();
        text.AppendLine($"# {Cell(stats.TestInfo.TestName)}").AppendLine()
            .AppendLine($"Test suite `{stats.TestInfo.TestSuite}`, session `{stats.TestInfo.SessionId}`, {stats.NodeInfo.CoresCount} cores, .NET {stats.NodeInfo.DotNetVersion}.");
        foreach (var scenario in stats.ScenarioStats)
        {
            text.AppendLine().AppendLine($"## {Cell(scenario.ScenarioName)}").AppendLine()
                .AppendLine($"{Lines.Duration(scenario.Duration)}; ok {scenario.Ok.Request.Count}, failed {scenario.Fail.Request.Count}; load `{scenario.LoadSimulationStats.SimulationName}`, last {scenario.LoadSimulationStats.Value}.").AppendLine();
            Append(text, Lines.Heads, Lines.Rows(scenario));
            var codes = scenario.Ok.StatusCodes.Concat(scenario.Fail.StatusCodes).Select(Lines.CodeRow).ToList();
            if (codes.Count > 0)
            {
                text.AppendLine();
                Append(text, ["status code", "outcome", "count", "%", "message"], codes);
            }
        }

        if (stats.Thresholds.Length > 0)
        {
            text.AppendLine().AppendLine("## Thresholds").AppendLine();
            Append(text, ["", "scenario", "step", "check", "errors"], stats.Thresholds.Select(threshold => new[]
            {
                threshold.IsFailed ? "**failed**" : "held", threshold.ScenarioName, threshold.StepName, $"`{threshold.CheckExpression}` {threshold.ExceptionMsg}", $"{threshold.ErrorCount}",
            }));
        }

        return text.ToString();
    }

    private static void Append(StringBuilder text, IReadOnlyList<string> heads, IEnumerable<string[]> rows)
    {
        text.AppendLine($"| {string.Join(" | ", heads)} |").AppendLine($"|{string.Concat(heads.Select(_ => "---|"))}");
        foreach (var row in rows)
        {
            text.AppendLine($"| {string.Join(" | ", row.Select(Cell))} |");
        }
    }

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" ");
}
