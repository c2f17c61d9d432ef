using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>A one-time token with which an agent joins the overflow pool as a node of the platform's own tenant. Only the scheduler gets one.</summary>
internal static partial class CreateOverflowToken
{
    public static async Task<Results<Ok<NodeTokenResponse>, ProblemHttpResult>> HandleAsync(
        NodeTokenRequest request, NpgsqlDataSource database, TimeProvider time, ILogger<NodeTokenRequest> logger, CancellationToken cancellationToken)
    {
        await using var find = database.CreateCommand("SELECT t.tenant_id FROM platform_tenant t WHERE EXISTS (SELECT 1 FROM overflow_pools WHERE withdrawn_at IS NULL)");
        if (await find.ExecuteScalarAsync(cancellationToken) is not Guid owner)
        {
            return Problems.Refuse(StatusCodes.Status409Conflict, "noPool", "No overflow pool is published. Publish its key first: POST /internal/overflow-pools.");
        }

        var token = await CreateNodeToken.MakeAsync(request, new TenantId(owner), "overflow", database, time, cancellationToken);
        LogCreated(logger, request.NodeName, token.ExpiresAt);
        return TypedResults.Ok(token);
    }

    [LoggerMessage(LogLevel.Information, "Created a token for overflow agent {Name}, good until {ExpiresAt}")]
    private static partial void LogCreated(ILogger logger, string name, DateTimeOffset expiresAt);
}
