using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Traces;

/// <summary>The trace of one of the caller's jobs, as a tree.</summary>
internal static class GetTrace
{
    // 50 units in two tries each, and room; what a job has beyond it is not shown.
    private const int MostSpans = 20_000;

    // Processes gather spans for half a second before they hand them over, and the job's saga ends a little after the job.
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(3);

    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/jobs/{jobId}/trace", HandleAsync);

    private static async Task<Results<Ok<JobTrace>, ProblemHttpResult>> HandleAsync(
        JobId jobId, ClaimsPrincipal user, NpgsqlDataSource dataSource, IOptions<TraceOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        var tenant = user.TenantId();
        var key = TaskIds.KeyOf(tenant, jobId);
        await using var batch = dataSource.CreateBatch();
        batch.Add("SELECT split_part(trace_parent, '-', 2), ended_at FROM jobs WHERE job_id = $1 AND tenant_id = $2", key.Value, tenant.Value);
        batch.Add(
            """
            SELECT s.span_id, s.parent_span_id, s.service, s.name, s.started_at, s.duration_ms, s.failed, s.attributes::text
            FROM job_spans s JOIN jobs j USING (job_id) WHERE j.job_id = $1 AND j.tenant_id = $2 ORDER BY s.started_at, s.position LIMIT $3
            """,
            key.Value, tenant.Value, MostSpans);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return GetJob.Unknown(jobId);
        }

        var traceId = reader.Text(0);
        var isSettled = reader.Time(1) is { } ended && time.GetUtcNow() - ended > Settling;
        await reader.NextResultAsync(cancellationToken);
        var spans = new List<KeptSpan>();
        while (await reader.ReadAsync(cancellationToken))
        {
            spans.Add(new KeptSpan(
                reader.GetString(0), reader.Text(1), reader.GetString(2), reader.GetString(3), reader.Instant(4), reader.GetDouble(5), reader.GetBoolean(6),
                reader.Json<Dictionary<string, string>>(7)!));
        }

        var ends = spans.Select(span => span.StartedAt.AddMilliseconds(span.DurationMs)).DefaultIfEmpty().Max();
        DateTimeOffset? start = spans.Count > 0 ? spans[0].StartedAt : null;
        return TypedResults.Ok(new JobTrace(
            jobId, traceId, start, start is { } first ? (ends - first).TotalMilliseconds : 0, spans.Count, isSettled, options.Value.Units, TraceTree.Build(spans)));
    }
}
