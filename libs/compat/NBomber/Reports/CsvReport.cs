using System.Text;
using NBomber.Contracts.Stats;

namespace NBomber.Reports;

/// <summary>A row a step, of what went well; the whole iteration first.</summary>
internal static class CsvReport
{
    private const string Heads =
        "test_suite,test_name,scenario,duration,step_name,request_count,ok,failed,rps,min,mean,max,50_percent,75_percent,95_percent,99_percent,std_dev,"
        + "data_transfer_min_kb,data_transfer_mean_kb,data_transfer_max_kb,data_transfer_all_mb";

    public static string Build(NodeStats stats)
    {
        var text = new StringBuilder(Heads).AppendLine();
        foreach (var scenario in stats.ScenarioStats)
        {
            foreach (var (name, ok, fail) in Lines.Of(scenario))
            {
                string[] words = [stats.TestInfo.TestSuite, stats.TestInfo.TestName, scenario.ScenarioName, Lines.Duration(scenario.Duration), name];
                double[] numbers =
                [
                    ok.Request.Count + fail.Request.Count, ok.Request.Count, fail.Request.Count, ok.Request.RPS, ok.Latency.MinMs, ok.Latency.MeanMs, ok.Latency.MaxMs,
                    ok.Latency.Percent50, ok.Latency.Percent75, ok.Latency.Percent95, ok.Latency.Percent99, ok.Latency.StdDev, ok.DataTransfer.MinBytes / 1024.0,
                    ok.DataTransfer.MeanBytes / 1024.0, ok.DataTransfer.MaxBytes / 1024.0, ok.DataTransfer.AllBytes / 1048576.0,
                ];
                text.AppendLine(string.Join(',', words.Select(Quote).Concat(numbers.Select(Lines.Number))));
            }
        }

        return text.ToString();
    }

    private static string Quote(string text) =>
        text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
