using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Tests.Hosting;
using RenderTrust.Telemetry;

namespace RenderTrust.Gateway.Tests.A2A;

/// <summary>Where a job's trace begins: what the scheduler is told of it.</summary>
public sealed class JobTraceTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_submission_goes_on_in_the_clients_trace_marked_as_its_job()
    {
        await using var host = await EdgeHost.StartAsync();
        var (device, spec) = await SubmitAsync(host, "other=1");

        var (_, traceParent, traceState) = Assert.Single(host.Sidecar.Traces, call => call.Path == "scheduler/internal/jobs");
        Assert.StartsWith($"00-{TraceId}-", traceParent, StringComparison.Ordinal);
        Assert.Equal($"{new JobMark(spec.JobId.Value, device.Tenant.Value)},other=1", traceState);
    }

    [Fact]
    public async Task A_submission_without_a_trace_gets_one()
    {
        await using var host = await EdgeHost.StartAsync();
        var agent = host.NewAgent(out var device);
        var (request, spec) = TestData.Submission();

        await agent.SendMessageAsync(request, Token);

        var call = Assert.Single(host.Sidecar.Traces, call => call.Path == "scheduler/internal/jobs");
        Assert.Equal(new JobMark(spec.JobId.Value, device.Tenant.Value).ToString(), call.TraceState);
    }

    [Fact]
    public async Task A_mark_that_comes_from_outside_is_taken_off()
    {
        await using var host = await EdgeHost.StartAsync();
        var foreign = new JobMark(Guid.NewGuid(), Guid.NewGuid());
        var device = new Device(host.Sidecar);
        using var http = device.Client(host.Gateway);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/credits");
        request.Headers.Add("traceparent", $"00-{TraceId}-b7ad6b7169203331-01");
        request.Headers.Add("tracestate", $"{foreign},other=1");

        using var answer = await http.SendAsync(request, Token);
        await SubmitAsync(host, foreign.ToString());

        Assert.All(host.Sidecar.Traces, call => Assert.DoesNotContain(foreign.ToString(), call.TraceState ?? "", StringComparison.Ordinal));
        Assert.Contains(host.Sidecar.Traces, call => call.Path == "ledger/v1/credits");
    }

    [Fact]
    public async Task With_a_ratio_of_zero_no_submission_is_marked()
    {
        await using var host = await EdgeHost.StartAsync(("Telemetry:JobTraceRatio", "0"));

        await SubmitAsync(host, "other=1");

        Assert.All(host.Sidecar.Traces, call => Assert.False(JobMark.TryRead(call.TraceState, out _)));
    }

    private static async Task<(Device Device, JobSpec Spec)> SubmitAsync(EdgeHost host, string traceState)
    {
        var device = new Device(host.Sidecar);
        using var http = device.Client(host.Gateway);
        http.DefaultRequestHeaders.Add("traceparent", $"00-{TraceId}-b7ad6b7169203331-01");
        http.DefaultRequestHeaders.Add("tracestate", traceState);
        var (request, spec) = TestData.Submission();
        await host.Agent(http).SendMessageAsync(request, Token);
        return (device, spec);
    }
}
