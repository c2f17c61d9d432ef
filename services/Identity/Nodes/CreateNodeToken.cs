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
        var token = await MakeAsync(request, user.TenantId(), "node", database, time, cancellationToken);
        LogCreated(logger, user.TenantId(), token.ExpiresAt);
        return TypedResults.Ok(token);
    }

    /// <param name="kind"><c>node</c>, or <c>overflow</c> for an agent of the platform's pool.</param>
    internal static async Task<NodeTokenResponse> MakeAsync(
        NodeTokenRequest request, TenantId tenant, string kind, NpgsqlDataSource database, TimeProvider time, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var token = Secrets.New(Secrets.NodeTokenPrefix);
        var expiresAt = now.AddSeconds(request.ExpiresInSeconds);
        await using var command = database.CreateCommand(
            "INSERT INTO node_tokens (token_hash, tenant_id, node_name, kind, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)");
        command.Parameters.Add(new() { Value = Secrets.Hash(token) });
        command.Parameters.Add(new() { Value = tenant.Value });
        command.Parameters.Add(new() { Value = request.NodeName });
        command.Parameters.Add(new() { Value = kind });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = expiresAt.UtcDateTime });
        await command.ExecuteNonQueryAsync(cancellationToken);
        return new NodeTokenResponse(token, expiresAt);
    }

    [LoggerMessage(LogLevel.Information, "Created a node token for tenant {TenantId}, good until {ExpiresAt}")]
    private static partial void LogCreated(ILogger logger, TenantId tenantId, DateTimeOffset expiresAt);
}
