using RenderTrust.Cli.Output;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Tests.Output;

public sealed class TraceReportTests
{
    [Fact]
    public void A_span_is_a_line_with_its_times_indented_under_what_caused_it()
    {
        var child = Span("agent", "run module", 60, 40, attributes: new() { ["rendertrust.outcome"] = "Succeeded" });
        var lines = Print(Trace(Span("scheduler", "dispatch unit", 0, 100, children: [child], attributes: new() { ["rendertrust.unit.index"] = "3" })));

        var parent = Assert.Single(lines, line => line.Contains("dispatch unit", StringComparison.Ordinal));
        Assert.Contains("scheduler", parent, StringComparison.Ordinal);
        Assert.Contains("100.0", parent, StringComparison.Ordinal);
        Assert.Contains("unit 3", parent, StringComparison.Ordinal);
        Assert.Contains(lines, line => line.Contains("60.0", StringComparison.Ordinal) && line.Contains("  run module", StringComparison.Ordinal) && line.Contains("Succeeded", StringComparison.Ordinal));
    }

    [Fact]
    public void A_failed_span_says_so_and_why()
    {
        var lines = Print(Trace(Span("agent", "run unit", 0, 5, failed: true, attributes: new() { ["error.type"] = "out_of_memory" })));

        Assert.Contains(lines, line => line.Contains("run unit failed", StringComparison.Ordinal) && line.Contains("out_of_memory", StringComparison.Ordinal));
    }

    [Fact]
    public void Text_that_looks_like_markup_is_shown_as_it_is()
    {
        var lines = Print(Trace(Span("gateway", "POST /[bold]", 0, 5)));

        Assert.Contains(lines, line => line.Contains("POST /[bold]", StringComparison.Ordinal));
    }

    [Fact]
    public void A_job_without_a_trace_gets_a_sentence()
    {
        var lines = Print(new JobTrace(JobId.New(), null, null, 0, 0, true, 50, []));

        Assert.Contains(lines, line => line.StartsWith("No trace is kept", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0, 100, "████████████████████████")]
    [InlineData(50, 50, "············████████████")]
    [InlineData(50, 0.01, "············|···········")]
    [InlineData(100, 0, "·······················|")]
    public void The_bar_shows_where_in_the_whole_a_span_lies(double offsetMs, double durationMs, string expected) =>
        Assert.Equal(expected, TraceReport.Bar(100, Span("agent", "run unit", offsetMs, durationMs)));

    private static JobTrace Trace(TraceSpan span) => new(JobId.New(), new string('a', 32), DateTimeOffset.UnixEpoch, 100, 2, true, 50, [span]);

    private static TraceSpan Span(
        string service, string name, double offsetMs, double durationMs, bool failed = false, IReadOnlyList<TraceSpan>? children = null, Dictionary<string, string>? attributes = null) =>
        new("00000000000000aa", null, service, name, offsetMs, durationMs, failed, attributes ?? [], children ?? []);

    private static string[] Print(JobTrace trace)
    {
        using var writer = new StringWriter();
        TraceReport.Write(AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Out = new AnsiConsoleOutput(writer) }), trace);
        return writer.ToString().Split('\n');
    }
}
