using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>What nodes say they did, for the trace of the job.</summary>
public sealed class NodeSpanTests(TestDatabase database) : HubTest(database)
{
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Fact]
    public async Task A_nodes_spans_go_on_with_its_result_and_what_is_no_span_is_left_out()
    {
        var attempt = AttemptId.New();
        Sidecar.Live = [new LiveAttempt(attempt, TenantId.New(), JobId.New(), Trace)];
        var node = await OpenAsync();
        var result = Leases.Result(attempt);
        var good = Span("00000000000000a1", "run unit", new() { ["rendertrust.outcome"] = "Succeeded", ["rendertrust.count"] = "secret/scene.pov", ["file"] = "scene.pov" });
        result.Result.Spans.Add(
            [good, Span("no id", "run unit"), Span("00000000000000a2", "secret/scene.pov"), Span("00000000000000a3", new string('x', 61)), Span("00000000000000a4", "run", duration: -1)]);

        await node.SendAsync(result);

        await node.NextAsync(frame => frame.ResultAck);
        var span = Assert.Single(Assert.Single(Sidecar.Results).Spans!);
        Assert.Equal(("00000000000000a1", "run unit", 2.5, false), (span.SpanId, span.Name, span.DurationMs, span.Failed));
        Assert.Equal([new("rendertrust.outcome", "Succeeded")], span.Attributes!);
    }

    [Fact]
    public async Task More_spans_than_an_attempt_has_parts_are_cut_off()
    {
        var attempt = AttemptId.New();
        Sidecar.Live = [new LiveAttempt(attempt, TenantId.New(), JobId.New(), Trace)];
        var node = await OpenAsync();
        var result = Leases.Result(attempt);
        result.Result.Spans.Add(Enumerable.Range(0, 1000).Select(index => Span($"{index:x16}", "run unit")));

        await node.SendAsync(result);

        await node.NextAsync(frame => frame.ResultAck);
        Assert.Equal(32, Assert.Single(Sidecar.Results).Spans!.Count);
    }

    [Fact]
    public async Task Spans_of_an_attempt_that_is_not_traced_are_not_handed_on()
    {
        var attempt = AttemptId.New();
        Sidecar.Live = [new LiveAttempt(attempt, TenantId.New())];
        var node = await OpenAsync();
        var result = Leases.Result(attempt);
        result.Result.TraceParent = Trace;
        result.Result.Spans.Add(Span("00000000000000a1", "run unit"));

        await node.SendAsync(result);

        await node.NextAsync(frame => frame.ResultAck);
        Assert.Null(Assert.Single(Sidecar.Results).Spans);
    }

    private static Span Span(string id, string name, Dictionary<string, string>? attributes = null, long duration = 2500)
    {
        var span = new Span { SpanId = id, ParentSpanId = "00000000000000ff", Name = name, StartedUnixUs = 1_800_000_000_000_000, DurationUs = duration };
        foreach (var (key, value) in attributes ?? [])
        {
            span.Attributes[key] = value;
        }

        return span;
    }
}
