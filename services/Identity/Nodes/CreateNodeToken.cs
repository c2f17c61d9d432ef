using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>A one-time token with which a machine becomes a node of the caller's tenant; shown once.</summary>
internal static partial class CreateNodeToken
{
    public static async Task<Ok<NodeTokenResponse>> HandleAsync(
        NodeTokenRequest request, ClaimsPrincipal user, NpgsqlDataSource database, TimeProvider time, ILogger<NodeTokenRequest> logger, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var token = Secrets.New(Secrets.NodeTokenPrefix);
        var expiresAt = now.AddSeconds(request.ExpiresInSeconds);
        await using var command = database.CreateCommand(
            "INSERT INTO node_tokens (token_hash, tenant_id, node_name, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)");
        command.Parameters.Add(new() { Value = Secrets.Hash(token) });
        command.Parameters.Add(new() { Value = user.TenantId().Value });
        command.Parameters.Add(new() { Value = request.NodeName });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = expiresAt.UtcDateTime });
        await command.ExecuteNonQueryAsync(cancellationToken);
        LogCreated(logger, user.TenantId(), expiresAt);
        return TypedResults.Ok(new NodeTokenResponse(token, expiresAt));
    }

    [LoggerMessage(LogLevel.Information, "Created a node token for tenant {TenantId}, good until {ExpiresAt}")]
    private static partial void LogCreated(ILogger logger, TenantId tenantId, DateTimeOffset expiresAt);
}
