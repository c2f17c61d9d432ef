using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.ServiceDefaults;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Traces;

/// <summary>The creator's own part of a job's trace. Bounded, and of one's own jobs only.</summary>
internal static class AddClientSpans
{
    private const int MostPerJob = 300;

    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/v1/jobs/{jobId}/spans", HandleAsync);

    private static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        JobId jobId, ClientSpans sent, ClaimsPrincipal user, NpgsqlDataSource dataSource, SpanTable table, CancellationToken cancellationToken)
    {
        var tenant = user.TenantId();
        await using var command = dataSource.Command(
            "SELECT (SELECT count(*) FROM job_spans s WHERE s.job_id = j.job_id AND s.service = 'client') FROM jobs j WHERE j.job_id = $1 AND j.tenant_id = $2",
            TaskIds.KeyOf(tenant, jobId).Value, tenant.Value);
        if (await command.ExecuteScalarAsync(cancellationToken) is not long kept)
        {
            return GetJob.Unknown(jobId);
        }

        if (kept + sent.Spans.Count > MostPerJob)
        {
            return TypedResults.Problem(
                $"Job {jobId} has {kept} spans of its creator, and {sent.Spans.Count} more would be over {MostPerJob}. Leave them out.", statusCode: StatusCodes.Status429TooManyRequests);
        }

        await table.WriteAsync(
            [.. sent.Spans.Select(span => new JobSpan(
                jobId.Value, tenant.Value, sent.TraceId, span.SpanId, span.ParentSpanId, "client", span.Name, span.StartedAt, span.DurationMs, span.Failed,
                span.Bytes is { } bytes ? new Dictionary<string, string> { [TelemetryNames.Bytes] = $"{bytes}" } : []))],
            cancellationToken);
        return TypedResults.NoContent();
    }
}
