using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Telemetry;

namespace RenderTrust.Sidecar.Tests;

/// <summary>The sidecar in a job's trace: between caller and app, and nowhere else.</summary>
public sealed class TraceTests : IAsyncLifetime
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string Caller = "b7ad6b7169203331";
    private static readonly JobMark Mark = new(Guid.NewGuid(), Guid.NewGuid());

    private readonly SidecarRig rig = new() { SpanSink = SpanSink.Parse("callee/spans") };
    private readonly ConcurrentQueue<JobSpan> spans = new();
    private RigApp caller = null!;
    private HostedTestApp app = null!;

    public async ValueTask InitializeAsync()
    {
        caller = rig.AddApp("caller", withPort: false);
        var callee = rig.AddApp("callee");
        app = await HostedTestApp.StartAsync(callee.AppPort, web =>
        {
            web.MapGet("/headers", (HttpContext http) => new Headers(http.Request.Headers["traceparent"].ToString(), http.Request.Headers["tracestate"].ToString()));
            web.MapPost("/spans", async (HttpContext http) =>
            {
                Assert.Equal("token-of-the-apps", http.Request.Headers["dapr-api-token"].ToString());
                foreach (var span in (await JsonSerializer.DeserializeAsync<JobSpanBatch>(http.Request.Body, JsonSerializerOptions.Web))!.Spans)
                {
                    spans.Enqueue(span);
                }
            });
        });
        await rig.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        await app.DisposeAsync();
    }

    [Fact]
    public async Task A_call_of_a_job_gets_a_span_under_the_callers_which_the_app_is_told_and_the_sink_gets()
    {
        var seen = await CallAsync($"{Mark},other=1");

        await Wait.UntilAsync("the sink to get the call's span", () => Task.FromResult(spans.Any(candidate => candidate.JobId == Mark.JobId)));
        var span = Assert.Single(spans, candidate => candidate.JobId == Mark.JobId);
        Assert.Equal((TraceId, Caller, "sidecar", "invoke callee"), (span.TraceId, span.ParentSpanId, span.Service, span.Name));
        Assert.Equal($"00-{TraceId}-{span.SpanId}-01", seen.TraceParent);
        Assert.Equal($"{Mark},other=1", seen.TraceState);
        Assert.Equal("200", span.Attributes["http.response.status_code"]);
    }

    [Fact]
    public async Task Any_other_call_keeps_the_headers_that_it_came_with()
    {
        var seen = await CallAsync("other=1");

        Assert.Equal(new Headers($"00-{TraceId}-{Caller}-01", "other=1"), seen);
    }

    [Theory]
    [InlineData("callee")]
    [InlineData("/spans")]
    [InlineData("callee/")]
    public void A_sink_is_an_app_and_a_path(string text) => Assert.Null(SpanSink.Parse(text));

    private async Task<Headers> CallAsync(string traceState)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{caller.Http}/v1.0/invoke/callee/method/headers");
        request.Headers.Add("traceparent", $"00-{TraceId}-{Caller}-01");
        request.Headers.Add("tracestate", traceState);
        using var client = new HttpClient();
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return (await response.Content.ReadFromJsonAsync<Headers>(TestContext.Current.CancellationToken))!;
    }

    private sealed record Headers(string TraceParent, string TraceState);
}
