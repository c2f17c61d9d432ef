using System.Globalization;
using NBomber.Contracts.Stats;
using NBomber.Running;

namespace NBomber.Reports;

/// <summary>The table that all reports show: the whole iteration first, then its steps.</summary>
internal static class Lines
{
    public static readonly string[] Heads = ["step", "outcome", "count", "%", "rps", "min ms", "mean ms", "max ms", "p50", "p75", "p95", "p99", "deviation", "all KiB"];

    public static IEnumerable<(string Name, MeasurementStats Ok, MeasurementStats Fail)> Of(ScenarioStats scenario) =>
        scenario.StepStats.Select(step => (step.StepName, step.Ok, step.Fail)).Prepend((Measurements.Global, scenario.Ok, scenario.Fail));

    /// <summary>Rows of text; outcomes that never came are left out.</summary>
    public static IEnumerable<string[]> Rows(ScenarioStats scenario) =>
        from line in Of(scenario)
        from outcome in new[] { (Name: "ok", Stats: line.Ok), (Name: "fail", Stats: line.Fail) }
        where outcome.Stats.Request.Count > 0 || outcome.Name == "ok"
        select Row(line.Name, outcome.Name, outcome.Stats);

    public static string[] CodeRow(StatusCodeStats code) => [code.StatusCode, code.IsError ? "fail" : "ok", $"{code.Count}", $"{code.Percent}", code.Message];

    public static string Duration(TimeSpan duration) => duration.ToString(@"hh\:mm\:ss", CultureInfo.InvariantCulture);

    public static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);

    private static string[] Row(string name, string outcome, MeasurementStats stats) =>
    [
        name, outcome, $"{stats.Request.Count}", $"{stats.Request.Percent}", Number(stats.Request.RPS), Number(stats.Latency.MinMs), Number(stats.Latency.MeanMs),
        Number(stats.Latency.MaxMs), Number(stats.Latency.Percent50), Number(stats.Latency.Percent75), Number(stats.Latency.Percent95), Number(stats.Latency.Percent99),
        Number(stats.Latency.StdDev), Number(stats.DataTransfer.AllBytes / 1024.0),
    ];
}
