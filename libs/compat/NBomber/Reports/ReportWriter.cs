using NBomber.Contracts;
using NBomber.Contracts.Stats;

namespace NBomber.Reports;

/// <summary>Writes the reports that were asked for. A report that cannot be written is told and loses nothing else.</summary>
internal static class ReportWriter
{
    public static ReportFile[] Write(NBomberContext context, NodeStats stats, DateTimeOffset at)
    {
        var folder = context.ReportFolder ?? Path.Combine(".", "reports", stats.TestInfo.SessionId);
        var name = context.ReportFileName ?? $"nbomber_report_{at.UtcDateTime:yyyy-MM-dd--HH-mm-ss}";
        var written = new List<ReportFile>();
        foreach (var format in context.ReportFormats.Distinct())
        {
            var path = Path.Combine(folder, $"{name}.{format.ToString().ToLowerInvariant()}");
            try
            {
                var content = Build(format, stats);
                Directory.CreateDirectory(folder);
                File.WriteAllText(path, content);
                written.Add(new ReportFile { FilePath = path, ReportFormat = format, ReportContent = content });
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine($"NBomber: the report {path} was not written: {exception.Message}");
            }
        }

        return [.. written];
    }

    private static string Build(ReportFormat format, NodeStats stats) => format switch
    {
        ReportFormat.Txt => TextReport.Build(stats),
        ReportFormat.Html => HtmlReport.Build(stats),
        ReportFormat.Csv => CsvReport.Build(stats),
        _ => MarkdownReport.Build(stats),
    };
}
