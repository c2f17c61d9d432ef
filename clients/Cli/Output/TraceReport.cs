using System.Globalization;
using RenderTrust.Contracts;
using RenderTrust.Telemetry;
using Spectre.Console;

namespace RenderTrust.Cli.Output;

/// <summary>A job's trace for people: one line per span, indented under what caused it, with when it began, how long it took, and where that lies in the whole.</summary>
internal static class TraceReport
{
    private const int BarWidth = 24;
    private const int WidthOfFiles = 180;

    public static void Write(IAnsiConsole console, JobTrace trace)
    {
        if (trace.Spans.Count == 0)
        {
            console.WriteLine(trace.TraceId is null
                ? $"No trace is kept of job {trace.JobId}: it was submitted before traces were kept, or left out by Telemetry:JobTraceRatio."
                : $"No span of job {trace.JobId} has come in yet, or all have been removed by age. Trace id: {trace.TraceId}.");
            return;
        }

        if (!console.Profile.Out.IsTerminal)
        {
            console.Profile.Width = WidthOfFiles;
        }

        console.MarkupLineInterpolated($"Job {trace.JobId}, {Ms(trace.DurationMs)} ms, {trace.SpanCount} spans [grey](trace {trace.TraceId}, from {trace.StartedAt:u})[/]");
        var table = new Table().NoBorder().AddColumns(
            new TableColumn("[grey]at ms[/]").RightAligned().NoWrap(), new TableColumn("[grey]took ms[/]").RightAligned().NoWrap(), new TableColumn("").NoWrap(),
            new TableColumn("[grey]who[/]").NoWrap(), new TableColumn("[grey]what[/]").NoWrap());
        foreach (var span in trace.Spans)
        {
            Add(table, trace, span, 0);
        }

        console.Write(table);
        if (!trace.IsSettled)
        {
            console.MarkupLine("[grey]The job is not over, or has only just ended: more may come.[/]");
        }

        if (trace.TracedUnits > 0)
        {
            console.MarkupLineInterpolated($"[grey]Units 0 to {trace.TracedUnits - 1} are traced. Times are those of the machine that did the work.[/]");
        }
    }

    private static void Add(Table table, JobTrace trace, TraceSpan span, int depth)
    {
        var name = Markup.Escape(new string(' ', depth * 2) + span.Name);
        table.AddRow(
            Ms(span.OffsetMs), Ms(span.DurationMs), $"[grey]{Bar(trace.DurationMs, span)}[/]", $"[{Colour(span.Service)}]{Markup.Escape(span.Service)}[/]",
            $"{(span.Failed ? $"[red]{name} failed[/]" : name)}{(Facts(span) is { Length: > 0 } facts ? $"  [grey]({Markup.Escape(facts)})[/]" : "")}");
        foreach (var child in span.Children)
        {
            Add(table, trace, child, depth + 1);
        }
    }

    /// <summary>Where in the whole it lies; what is too short to see is one mark.</summary>
    internal static string Bar(double wholeMs, TraceSpan span)
    {
        var scale = wholeMs > 0 ? BarWidth / wholeMs : 0;
        var from = Math.Clamp((int)(span.OffsetMs * scale), 0, BarWidth - 1);
        var length = Math.Clamp((int)Math.Round(span.DurationMs * scale), 1, BarWidth - from);
        return new string('·', from) + new string(length == 1 && span.DurationMs * scale < 0.5 ? '|' : '█', length) + new string('·', BarWidth - from - length);
    }

    private static string Facts(TraceSpan span) => string.Join(", ", Known(span));

    private static IEnumerable<string> Known(TraceSpan span)
    {
        var attributes = span.Attributes;
        if (attributes.TryGetValue(TelemetryNames.UnitIndex, out var unit))
        {
            yield return $"unit {unit}";
        }

        if (attributes.TryGetValue(TelemetryNames.AttemptNumber, out var number) && number != "1")
        {
            yield return $"attempt {number}";
        }

        if (attributes.TryGetValue(TelemetryNames.UnitCount, out var units))
        {
            yield return Many(units, "unit");
        }

        if (attributes.TryGetValue(TelemetryNames.Count, out var count))
        {
            yield return Many(count, "file");
        }

        if (attributes.TryGetValue(TelemetryNames.Bytes, out var bytes))
        {
            yield return $"{bytes} bytes";
        }

        // What failed has been said to have failed.
        if (attributes.TryGetValue(TelemetryNames.Outcome, out var outcome) && !(span.Failed && outcome == "Failed"))
        {
            yield return outcome;
        }

        if (attributes.TryGetValue("http.response.status_code", out var status) && !status.StartsWith('2'))
        {
            yield return $"HTTP {status}";
        }

        if (attributes.TryGetValue("error.type", out var error))
        {
            yield return error;
        }
    }

    private static string Many(string count, string what) => count == "1" ? $"1 {what}" : $"{count} {what}s";

    private static string Ms(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);

    private static string Colour(string service) => service switch
    {
        "client" => "blue",
        "gateway" or "hub" => "green",
        "scheduler" => "yellow",
        "ledger" => "fuchsia",
        "agent" => "aqua",
        _ => "grey",
    };
}
