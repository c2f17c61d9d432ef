using System.Diagnostics;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults.Tests.Telemetry;

public sealed class JobMarkTests
{
    private static readonly JobMark Mark = new(Guid.Parse("0199c0de-0000-7000-8000-000000000001"), Guid.Parse("0199c0de-0000-7000-8000-000000000002"));

    [Fact]
    public void A_mark_is_read_back_beside_other_vendors_entries()
    {
        var state = Mark.AddTo("other=1,second=a-b");

        Assert.Equal($"{Mark},other=1,second=a-b", state);
        Assert.True(JobMark.TryRead(state, out var read));
        Assert.Equal(Mark, read);
        Assert.Equal("other=1,second=a-b", JobMark.RemoveFrom(state));
    }

    [Fact]
    public void A_new_mark_takes_the_place_of_an_older_one()
    {
        var older = new JobMark(Guid.NewGuid(), Guid.NewGuid()).AddTo("other=1");

        Assert.Equal($"{Mark},other=1", Mark.AddTo(older));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("other=1")]
    [InlineData("rendertrust=")]
    [InlineData("rendertrust=0199c0de000070008000000000000001")]
    [InlineData("rendertrust=0199c0de000070008000000000000001+0199c0de000070008000000000000002")]
    [InlineData("xrendertrust=0199c0de000070008000000000000001-0199c0de000070008000000000000002")]
    public void What_is_no_mark_is_not_read_as_one(string? state) => Assert.False(JobMark.TryRead(state, out _));

    [Fact]
    public void Spans_of_a_jobs_trace_are_heard_and_others_are_not_even_made()
    {
        using var source = new ActivitySource("RenderTrust.Test");
        var heard = new List<JobSpan>();
        using var listener = new JobSpanListener("ledger", RequestSpans.None, heard.Add);

        using (var stranger = source.StartActivity("a stranger's"))
        {
            Assert.Null(stranger);
        }

        var parent = Mark.Parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")!.Value;
        using (var span = source.StartActivity("the job's", ActivityKind.Internal, parent))
        {
            span!.SetTag(TelemetryNames.UnitIndex, 3).SetTag("file.name", "secret.pov").SetStatus(ActivityStatusCode.Error);
            using var child = source.StartActivity("part");
        }

        Assert.Equal(["part", "the job's"], heard.Select(span => span.Name));
        Assert.All(heard, span => Assert.Equal(("0af7651916cd43dd8448eb211c80319c", "test", Mark), (span.TraceId, span.Service, new JobMark(span.JobId, span.TenantId))));
        Assert.Equal(heard[1].SpanId, heard[0].ParentSpanId);
        Assert.Equal("b7ad6b7169203331", heard[1].ParentSpanId);
        Assert.True(heard[1].Failed);
        Assert.Equal([new(TelemetryNames.UnitIndex, "3")], heard[1].Attributes);
    }
}
