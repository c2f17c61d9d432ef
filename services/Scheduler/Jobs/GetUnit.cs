using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>One unit in full: its attempts, why each went to its node, and the sealed outputs.</summary>
internal static class GetUnit
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/jobs/{jobId}/units/{unitIndex:int}", HandleAsync);

    private static async Task<Results<Ok<UnitDetail>, ProblemHttpResult>> HandleAsync(
        JobId jobId, int unitIndex, ClaimsPrincipal user, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        var key = TaskIds.KeyOf(user.TenantId(), jobId);
        await using var batch = dataSource.CreateBatch();
        batch.Add(
            """
            SELECT u.status, coalesce(u.reason, p.parked_reason) FROM jobs j JOIN units u USING (job_id) LEFT JOIN pending_units p USING (job_id, unit_index)
            WHERE j.job_id = $1 AND j.tenant_id = $2 AND u.unit_index = $3
            """,
            key.Value, user.TenantId().Value, unitIndex);
        batch.Add($"{GetJob.AttemptQuery} WHERE a.job_id = $1 AND a.unit_index = $2 ORDER BY a.number", key.Value, unitIndex);
        batch.Add(ListOutputs.Query, key.Value, unitIndex, 1);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return TypedResults.Problem($"There is no unit {unitIndex} of a job {jobId}.", statusCode: StatusCodes.Status404NotFound);
        }

        var (status, reason) = (reader.GetString(0), reader.Text(1));
        await reader.NextResultAsync(cancellationToken);
        var attempts = new List<AttemptSummary>();
        while (await reader.ReadAsync(cancellationToken))
        {
            attempts.Add(GetJob.ReadAttempt(reader));
        }

        await reader.NextResultAsync(cancellationToken);
        var outputs = await reader.ReadAsync(cancellationToken) && reader.GetInt32(0) == unitIndex ? reader.Json<IReadOnlyList<UnitOutput>>(1) : null;
        return TypedResults.Ok(new UnitDetail(unitIndex, status, reason, attempts, outputs));
    }
}
