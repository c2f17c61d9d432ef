using System.Text;
using NBomber.Contracts.Stats;

namespace NBomber.Reports;

internal static class TextReport
{
    public static string Build(NodeStats stats)
    {
        var text = new StringBuilder();
        text.AppendLine($"test suite: {stats.TestInfo.TestSuite}").AppendLine($"test name: {stats.TestInfo.TestName}").AppendLine($"session: {stats.TestInfo.SessionId}");
        foreach (var scenario in stats.ScenarioStats)
        {
            text.AppendLine().AppendLine($"scenario: {scenario.ScenarioName}, {Lines.Duration(scenario.Duration)}, ok {scenario.Ok.Request.Count}, failed {scenario.Fail.Request.Count}");
            Append(text, [Lines.Heads, .. Lines.Rows(scenario)]);
            Append(text, [.. scenario.Ok.StatusCodes.Concat(scenario.Fail.StatusCodes).Select(Lines.CodeRow)]);
        }

        foreach (var threshold in stats.Thresholds)
        {
            text.AppendLine($"threshold {(threshold.IsFailed ? "FAILED" : "held")}: {threshold.ScenarioName} {threshold.StepName} {threshold.CheckExpression} {threshold.ExceptionMsg}".TrimEnd());
        }

        return text.ToString();
    }

    private static void Append(StringBuilder text, IReadOnlyList<string[]> rows)
    {
        if (rows.Count == 0)
        {
            return;
        }

        var widths = Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length)).ToList();
        foreach (var row in rows)
        {
            text.AppendLine(string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
        }
    }
}
