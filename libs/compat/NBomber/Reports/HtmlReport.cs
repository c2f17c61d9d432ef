using System.Net;
using System.Text;
using NBomber.Contracts.Stats;

namespace NBomber.Reports;

/// <summary>One page that loads nothing from elsewhere.</summary>
internal static class HtmlReport
{
    private const string Style =
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color-scheme:light dark}"
        + "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .7rem;border-bottom:1px solid #8886;text-align:right}"
        + "th:first-child,td:first-child{text-align:left}.failed{color:#c22;font-weight:600}.bar{display:inline-block;height:.7rem;background:#48c;vertical-align:middle}";

    public static string Build(NodeStats stats)
    {
        var page = new StringBuilder();
        page.AppendLine($"<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{Encode(stats.TestInfo.TestName)}</title><style>{Style}</style></head><body>")
            .AppendLine($"<h1>{Encode(stats.TestInfo.TestName)}</h1>")
            .AppendLine($"<p>Test suite {Encode(stats.TestInfo.TestSuite)}, session {Encode(stats.TestInfo.SessionId)}, {stats.NodeInfo.CoresCount} cores, {Encode(stats.NodeInfo.OS)}, .NET {Encode(stats.NodeInfo.DotNetVersion)}</p>");
        foreach (var scenario in stats.ScenarioStats)
        {
            page.AppendLine($"<h2>{Encode(scenario.ScenarioName)}</h2>")
                .AppendLine($"<p>{Lines.Duration(scenario.Duration)}; ok {scenario.Ok.Request.Count}, failed {scenario.Fail.Request.Count}; load {Encode(scenario.LoadSimulationStats.SimulationName)}</p>");
            Append(page, Lines.Heads, Lines.Rows(scenario));
            AppendBars(page, scenario);
            Append(page, ["status code", "outcome", "count", "%", "message"], scenario.Ok.StatusCodes.Concat(scenario.Fail.StatusCodes).Select(Lines.CodeRow));
        }

        page.AppendLine("<h2>Thresholds</h2><ul>");
        foreach (var threshold in stats.Thresholds)
        {
            var text = Encode($"{threshold.ScenarioName} {threshold.StepName} {threshold.CheckExpression} {threshold.ExceptionMsg}");
            page.AppendLine(threshold.IsFailed ? $"<li class=\"failed\">failed: {text}</li>" : $"<li>held: {text}</li>");
        }

        return page.AppendLine("</ul></body></html>").ToString();
    }

    private static void Append(StringBuilder page, IReadOnlyList<string> heads, IEnumerable<string[]> rows)
    {
        var lines = rows.ToList();
        if (lines.Count == 0)
        {
            return;
        }

        page.AppendLine($"<table><thead><tr>{string.Concat(heads.Select(head => $"<th>{Encode(head)}</th>"))}</tr></thead><tbody>");
        lines.ForEach(row => page.AppendLine($"<tr>{string.Concat(row.Select(cell => $"<td>{Encode(cell)}</td>"))}</tr>"));
        page.AppendLine("</tbody></table>");
    }

    /// <summary>The percentiles of each line, as long as they took.</summary>
    private static void AppendBars(StringBuilder page, ScenarioStats scenario)
    {
        var longest = Math.Max(0.01, Lines.Of(scenario).Max(line => line.Ok.Latency.Percent99));
        page.AppendLine("<table><tbody>");
        foreach (var (name, ok, _) in Lines.Of(scenario))
        {
            foreach (var (percentile, milliseconds) in new[] { ("p50", ok.Latency.Percent50), ("p95", ok.Latency.Percent95), ("p99", ok.Latency.Percent99) })
            {
                page.AppendLine($"<tr><td>{Encode(name)} {percentile}</td><td style=\"text-align:left\"><span class=\"bar\" style=\"width:{Lines.Number(30 * milliseconds / longest)}rem\"></span> {Lines.Number(milliseconds)} ms</td></tr>");
            }
        }

        page.AppendLine("</tbody></table>");
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);
}
