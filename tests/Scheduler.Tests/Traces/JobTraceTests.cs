using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Tests.Traces;

/// <summary>What is kept of a job's trace, and who gets to see it.</summary>
public sealed class JobTraceTests(JobTraceTests.TwoTracedUnits fixture) : IClassFixture<JobTraceTests.TwoTracedUnits>
{
    private const string Sent = "b7ad6b7169203331";
    private readonly SchedulerWorld world = fixture.World.Fresh();

    [Fact]
    public async Task From_submission_to_result_all_is_one_trace_with_the_right_parents()
    {
        var job = await TracedAsync(units: 1);
        var offer = Assert.Single(await world.OffersAsync(job.Spec.JobId, 1));
        await ReportAsync(job, offer, [new NodeSpan("00000000000000aa", "00000000000000bb", "run unit", DateTimeOffset.UtcNow, 12.5, false)]);
        await world.EndedAsync(job.Spec.JobId, job.Creator);

        var trace = await SchedulerWorld.UntilAsync(
            "the trace to be complete", () => TraceAsync(job), trace => Flat(trace).Any(span => span.Name == "accept result") && Flat(trace).Any(span => span.Service == "agent"));

        // The neighbours of this test run in the same process, and have no names for their spans.
        var spans = Flat(trace).Where(span => span.Name != "Microsoft.AspNetCore.Hosting.HttpRequestIn").ToDictionary(span => (span.Service, span.Name));
        Assert.Equal(job.TraceId, trace.TraceId);
        var request = spans[("scheduler", "POST /internal/jobs")];
        Assert.Equal(Sent, request.ParentSpanId);
        var accepted = spans[("scheduler", "accept job")];
        Assert.Equal(request.SpanId, accepted.ParentSpanId);
        Assert.Equal("Accepted", accepted.Attributes[TelemetryNames.Outcome]);
        var dispatch = spans[("scheduler", "dispatch unit")];
        Assert.Equal(accepted.SpanId, dispatch.ParentSpanId);
        Assert.Equal("0", dispatch.Attributes[TelemetryNames.UnitIndex]);
        Assert.Equal(spans[("scheduler", "accept result")].SpanId, spans[("ledger", "capture unit")].ParentSpanId);
        Assert.Equal(("00000000000000bb", 12.5), (spans[("agent", "run unit")].ParentSpanId, spans[("agent", "run unit")].DurationMs));
        Assert.All(Flat(trace), span => Assert.True(span.OffsetMs >= 0 && span.DurationMs >= 0));
    }

    [Fact]
    public async Task An_offer_carries_the_trace_to_the_hub()
    {
        var job = await TracedAsync(units: 1);

        await world.OffersAsync(job.Spec.JobId, 1);

        var headers = await SchedulerWorld.UntilAsync(
            "the offer's headers", () => Task.FromResult(world.Neighbours.OfferHeaders.FirstOrDefault(offer => offer.TraceParent?.Contains(job.TraceId, StringComparison.Ordinal) is true)), seen => seen != default);
        Assert.Equal(new JobMark(job.Spec.JobId.Value, job.Creator.Value).ToString(), headers.TraceState);
    }

    [Fact]
    public async Task Only_the_first_units_of_a_large_job_are_traced()
    {
        var job = await TracedAsync(units: 4);
        world.AnswerWithResults();
        await world.EndedAsync(job.Spec.JobId, job.Creator);

        var trace = await SchedulerWorld.UntilAsync("the traced units", () => TraceAsync(job), trace => Flat(trace).Count(span => span.Name == "dispatch unit") >= 2);

        Assert.Equal(["0", "1"], Flat(trace).Where(span => span.Name == "dispatch unit").Select(span => span.Attributes[TelemetryNames.UnitIndex]).Order());
        Assert.Equal(2, trace.TracedUnits);
    }

    [Fact]
    public async Task Another_creator_is_answered_as_for_a_job_that_does_not_exist()
    {
        var job = await TracedAsync(units: 1);
        var stranger = await world.CreatorAsync();
        var unknown = JobId.New();

        var theirs = await AnswerAsync(HttpMethod.Get, $"/v1/jobs/{job.Spec.JobId}/trace", stranger);
        var nobodys = await AnswerAsync(HttpMethod.Get, $"/v1/jobs/{unknown}/trace", stranger);
        var added = await AnswerAsync(HttpMethod.Post, $"/v1/jobs/{job.Spec.JobId}/spans", stranger, OneSpan(job.TraceId));

        Assert.Equal(HttpStatusCode.NotFound, theirs.Status);
        Assert.Equal(Shape(nobodys.Body), Shape(theirs.Body));
        Assert.Equal(HttpStatusCode.NotFound, added.Status);
    }

    [Fact]
    public async Task A_creators_own_spans_join_the_trace_once_and_as_the_clients()
    {
        var job = await TracedAsync(units: 1);

        Assert.Equal(HttpStatusCode.NoContent, (await AnswerAsync(HttpMethod.Post, $"/v1/jobs/{job.Spec.JobId}/spans", job.Creator, OneSpan(job.TraceId))).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await AnswerAsync(HttpMethod.Post, $"/v1/jobs/{job.Spec.JobId}/spans", job.Creator, OneSpan(job.TraceId))).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await AnswerAsync(HttpMethod.Post, $"/v1/jobs/{job.Spec.JobId}/spans", job.Creator, OneSpan(new string('1', 32), "00000000000000cc"))).Status);

        var client = Assert.Single(Flat(await TraceAsync(job)), span => span.Service == "client");
        Assert.Equal(("submit", Sent, "17"), (client.Name, client.SpanId, client.Attributes[TelemetryNames.Bytes]));
    }

    [Theory]
    [InlineData("""{"traceId":"zz","spans":[]}""")]
    [InlineData("""{"traceId":"0af7651916cd43dd8448eb211c80319c","spans":[{"spanId":"b7ad6b7169203331","name":"secret.pov","startedAt":"2026-01-01T00:00:00Z","durationMs":1,"failed":false}]}""")]
    [InlineData("""{"traceId":"0af7651916cd43dd8448eb211c80319c","spans":[{"spanId":"b7ad6b7169203331","name":"submit","startedAt":"2026-01-01T00:00:00Z","durationMs":-1,"failed":false}]}""")]
    public async Task Spans_that_have_not_the_form_of_spans_are_refused(string body)
    {
        var job = await TracedAsync(units: 1);

        Assert.Equal(HttpStatusCode.BadRequest, (await AnswerAsync(HttpMethod.Post, $"/v1/jobs/{job.Spec.JobId}/spans", job.Creator, body)).Status);
    }

    [Fact]
    public async Task Spans_of_no_job_and_of_another_trace_go_nowhere()
    {
        var job = await TracedAsync(units: 1);
        var before = await CountAsync(job);
        JobSpan Span(Guid jobId, string traceId, string spanId) =>
            new(jobId, job.Creator.Value, traceId, spanId, null, "gateway", "anything", DateTimeOffset.UtcNow, 1, false, new Dictionary<string, string>());

        using var answer = await world.SendAsync(HttpMethod.Post, "/internal/spans", new JobSpanBatch(
            [Span(Guid.NewGuid(), job.TraceId, "00000000000000d1"), Span(job.Spec.JobId.Value, new string('2', 32), "00000000000000d2"), Span(job.Spec.JobId.Value, job.TraceId, "00000000000000d3")]));

        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal(["00000000000000d3"], Flat(await TraceAsync(job)).Where(span => span.Name == "anything").Select(span => span.SpanId));
        Assert.True(await CountAsync(job) > before);
    }

    [Fact]
    public async Task A_job_without_a_trace_says_so()
    {
        var creator = await world.CreatorAsync();
        var spec = SchedulerWorld.Spec([await world.NodeAsync()], units: 1);
        await world.AcceptedAsync(creator, spec);

        var trace = await TraceAsync(new Traced(creator, spec, ""));

        Assert.Null(trace.TraceId);
        Assert.Empty(trace.Spans);
    }

    [Fact]
    public async Task Old_spans_and_those_above_the_limit_are_removed()
    {
        var job = await TracedAsync(units: 1);
        await SchedulerWorld.UntilAsync("spans of the job", () => CountAsync(job), count => count > 0);
        await world.ScalarAsync<int>("WITH aged AS (UPDATE scheduler.job_spans SET recorded_at = now() - interval '8 days' WHERE job_id = public.key_of($1) RETURNING 1) SELECT count(*)::int FROM aged", job.Spec.JobId.Value);

        // The job goes on, and its spans of this moment stay.
        await PruneAsync(new TraceOptions());
        Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.job_spans WHERE recorded_at < now() - interval '7 days'"));

        var newer = await TracedAsync(units: 1);
        await SchedulerWorld.UntilAsync("spans of the newer job", () => CountAsync(newer), count => count > 2);
        var newest = await world.ScalarAsync<long>("SELECT max(position) FROM scheduler.job_spans");
        await PruneAsync(new TraceOptions { MostSpans = 2 });
        Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM scheduler.job_spans WHERE position <= $1", newest - 2));
    }

    /// <summary>Without ids: of the job, and of the answer itself.</summary>
    private static string Shape(string body) => System.Text.RegularExpressions.Regex.Replace(body, "[0-9a-f-]{32,}", "*");

    private Task<long> PruneAsync(TraceOptions options) =>
        ActivatorUtilities.CreateInstance<PruneSpansLoop>(world.Services, Options.Create(options)).PruneAsync(TestContext.Current.CancellationToken);

    private Task<long> CountAsync(Traced job) => world.ScalarAsync<long>("SELECT count(*) FROM scheduler.job_spans WHERE job_id = public.key_of($1)", job.Spec.JobId.Value);

    private static string OneSpan(string traceId, string spanId = Sent) =>
        $$"""{"traceId":"{{traceId}}","spans":[{"spanId":"{{spanId}}","name":"submit","startedAt":"2026-01-01T00:00:00Z","durationMs":1,"failed":false,"bytes":17}]}""";

    /// <summary>As the gateway submits it: with the trace of the request that brought it, marked as this job's.</summary>
    private async Task<Traced> TracedAsync(int units)
    {
        var creator = await world.CreatorAsync();
        var spec = SchedulerWorld.Spec([await world.NodeAsync()], units);
        var traceId = Guid.NewGuid().ToString("N");
        var job = new Traced(creator, spec, traceId);
        using var answer = await SendAsync(job, "/internal/jobs", new SubmitJobRequest(creator, "context", spec, DateTimeOffset.UtcNow), Sent);
        Assert.Equal(SubmitOutcome.Accepted, (await answer.Content.ReadFromJsonAsync<SubmitJobResponse>(WireJson.Options))!.Outcome);
        return job;
    }

    private async Task ReportAsync(Traced job, LeaseOffer offer, IReadOnlyList<NodeSpan> spans)
    {
        using var answer = await SendAsync(
            job, "/internal/results",
            new UnitResultReport(
                offer.NodeId, offer.Epoch, offer.AttemptId, offer.FencingToken, true, 1000,
                [new UnitOutput(Guid.CreateVersion7(), new string('c', 64), 10, new string('d', 64), [])], null, null, DateTimeOffset.UtcNow, spans),
            "00000000000000aa");
        answer.EnsureSuccessStatusCode();
    }

    private Task<HttpResponseMessage> SendAsync(Traced job, string path, object body, string parent) => world.SendAsync(
        HttpMethod.Post, path, body,
        headers: [("traceparent", $"00-{job.TraceId}-{parent}-01"), ("tracestate", new JobMark(job.Spec.JobId.Value, job.Creator.Value).ToString())]);

    private async Task<JobTrace> TraceAsync(Traced job)
    {
        using var response = await world.SendAsync(HttpMethod.Get, $"/v1/jobs/{job.Spec.JobId}/trace", bearer: world.Neighbours.Token(job.Creator));
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<JobTrace>(WireJson.Options))!;
    }

    private async Task<(HttpStatusCode Status, string Body)> AnswerAsync(HttpMethod method, string path, TenantId tenant, string? body = null)
    {
        using var response = await world.SendAsync(method, path, body, bearer: world.Neighbours.Token(tenant));
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static IEnumerable<TraceSpan> Flat(JobTrace trace) => Flat(trace.Spans);

    private static IEnumerable<TraceSpan> Flat(IEnumerable<TraceSpan> spans) => spans.SelectMany(span => Flat(span.Children).Prepend(span));

    private sealed record Traced(TenantId Creator, JobSpec Spec, string TraceId);

    public sealed class TwoTracedUnits : WorldFixture
    {
        protected override Dictionary<string, string?> Settings => new() { ["Scheduler:Traces:Units"] = "2", ["Telemetry:FlushMilliseconds"] = "20" };
    }
}
