using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults.Tests.Telemetry;

public sealed class JobLineTests
{
    private static readonly JobMark Mark = new(Guid.Parse("0199c0de-0000-7000-8000-000000000001"), Guid.NewGuid());

    [Fact]
    public void A_line_written_while_a_job_is_worked_on_names_job_and_trace()
    {
        using var activity = new Activity("work");
        activity.SetParentId("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        activity.TraceStateString = Mark.ToString();
        activity.Start();

        var line = Line([new("Count", 3), new("{OriginalFormat}", "{Count} done")]);

        Assert.Equal(Mark.JobId.ToString("D"), line.GetProperty("jobId").GetString());
        Assert.Equal("0af7651916cd43dd8448eb211c80319c", line.GetProperty("traceId").GetString());
        Assert.Equal(3, line.GetProperty("State").GetProperty("Count").GetInt32());
        Assert.Equal("the message", line.GetProperty("Message").GetString());
        Assert.Equal("Information", line.GetProperty("LogLevel").GetString());
    }

    [Fact]
    public void A_line_without_a_trace_names_the_job_that_it_is_about()
    {
        Activity.Current = null;

        var line = Line([new("JobId", Mark.JobId)]);

        Assert.Equal(Mark.JobId.ToString("D"), line.GetProperty("jobId").GetString());
        Assert.False(line.TryGetProperty("traceId", out _));
    }

    private static JsonElement Line(IReadOnlyList<KeyValuePair<string, object?>> state)
    {
        using var writer = new StringWriter();
        new JobLineFormatter(TimeProvider.System).Write(
            new LogEntry<IReadOnlyList<KeyValuePair<string, object?>>>(LogLevel.Information, "Test", default, state, null, (_, _) => "the message"), null, writer);
        return JsonElement.Parse(writer.ToString());
    }
}
