using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Sealed outputs of a job's completed units, by index and in pages.</summary>
internal static class ListOutputs
{
    private const int MostUnits = 100;

    /// <summary>Job, first index, number of rows.</summary>
    internal const string Query =
        """
        SELECT (body ->> 'unitIndex')::int, (body -> 'outputs')::text FROM job_events
        WHERE job_id = $1 AND kind = 'unitCompleted' AND (body ->> 'unitIndex')::int >= $2 ORDER BY 1 LIMIT $3
        """;

    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/jobs/{jobId}/outputs", HandleAsync);

    private static async Task<Results<Ok<OutputPage>, ProblemHttpResult>> HandleAsync(
        JobId jobId, int? from, int? count, ClaimsPrincipal user, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        var key = TaskIds.KeyOf(user.TenantId(), jobId);
        var size = Math.Clamp(count ?? 24, 1, MostUnits);
        await using var batch = dataSource.CreateBatch();
        batch.Add("SELECT 1 FROM jobs WHERE job_id = $1 AND tenant_id = $2", key.Value, user.TenantId().Value);
        batch.Add(Query, key.Value, Math.Max(0, from ?? 0), size + 1);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return GetJob.Unknown(jobId);
        }

        await reader.NextResultAsync(cancellationToken);
        var units = new List<UnitOutputs>();
        while (await reader.ReadAsync(cancellationToken))
        {
            units.Add(new UnitOutputs(reader.GetInt32(0), reader.Json<IReadOnlyList<UnitOutput>>(1) ?? []));
        }

        int? next = units.Count > size ? units[size].UnitIndex : null;
        return TypedResults.Ok(new OutputPage(units.Count > size ? units[..size] : units, next));
    }
}
