using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Where the sealed manifest lies and how a key of the creator's opens it: with it outputs are checked from a machine that did not submit the job.</summary>
internal static class GetManifestGrants
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/jobs/{jobId}/grants/{keyId}", HandleAsync);

    private static async Task<Results<Ok<ManifestGrants>, ProblemHttpResult>> HandleAsync(
        JobId jobId, string keyId, ClaimsPrincipal user, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            """
            SELECT j.manifest::text, g.asset_id, g.encapsulated_key, g.wrapped_key
            FROM jobs j LEFT JOIN job_grants g ON g.job_id = j.job_id AND g.recipient_key_id = $3 AND g.asset_id = (j.manifest ->> 'assetId')::uuid
            WHERE j.job_id = $1 AND j.tenant_id = $2
            """,
            TaskIds.KeyOf(user.TenantId(), jobId).Value, user.TenantId().Value, keyId);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return GetJob.Unknown(jobId);
        }

        var manifest = reader.Json<AssetRef>(0)!;
        return TypedResults.Ok(new ManifestGrants(
            manifest, reader.IsNull(1) ? [] : [new AssetGrant(reader.GetGuid(1), keyId, reader.Bytes(2), reader.Bytes(3))]));
    }
}
