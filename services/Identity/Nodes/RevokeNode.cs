using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Ends a node: its certificate is refused by the hub and its key is stated no more. Repeating it is safe.</summary>
internal static class RevokeNode
{
    public static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        NodeId nodeId, ClaimsPrincipal user, NpgsqlDataSource database, RevocationLog log, Outbox outbox, Revocations revocations,
        TimeProvider time, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var update = new NpgsqlCommand(
            "UPDATE nodes SET revoked_at = $3 WHERE node_id = $1 AND tenant_id = $2 AND revoked_at IS NULL RETURNING certificate_expires_at", connection, transaction)
        {
            Parameters = { new() { Value = nodeId.Value }, new() { Value = user.TenantId().Value }, new() { Value = time.GetUtcNow().UtcDateTime } },
        };
        if (await update.ExecuteScalarAsync(cancellationToken) is DateTime certificateExpiresAt)
        {
            await log.AddAsync(transaction, RevocationKind.Node, nodeId.Value, user.TenantId(), new DateTimeOffset(certificateExpiresAt).AddDays(1), cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            outbox.Wake();
            revocations.Wake();
            return TypedResults.NoContent();
        }

        await using var find = new NpgsqlCommand("SELECT 1 FROM nodes WHERE node_id = $1 AND tenant_id = $2", connection, transaction)
        {
            Parameters = { new() { Value = nodeId.Value }, new() { Value = user.TenantId().Value } },
        };
        return await find.ExecuteScalarAsync(cancellationToken) is null ? Problems.Unknown("node", nodeId) : TypedResults.NoContent();
    }
}
