using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>The keys that a job can be sealed for: all nodes in good standing (the caller's own first), the overflow pool, or the caller's own devices.</summary>
internal static class ListKeyStatements
{
    /// <summary>A job carries at most 10 000 grants; a creator who needs other nodes than these pins their owners.</summary>
    private const int MaxStatements = 1000;

    public static async Task<Results<Ok<KeyStatementList>, ProblemHttpResult>> HandleAsync(
        string? kind, ClaimsPrincipal user, NpgsqlDataSource database, KeyStatements statements, TimeProvider time, CancellationToken cancellationToken)
    {
        switch (kind)
        {
            case "node":
                return TypedResults.Ok(await ReadAsync(
                    "node",
                    """
                    SELECT node_id, tenant_id, encryption_key_id, encryption_key, name FROM nodes
                    WHERE kind = 'node' AND revoked_at IS NULL AND certificate_expires_at > $3
                    ORDER BY tenant_id <> $1, created_at DESC LIMIT $2
                    """));
            case "creator":
                return TypedResults.Ok(await ReadAsync(
                    "creator",
                    """
                    SELECT device_id, tenant_id, encryption_key_id, encryption_key, name FROM devices
                    WHERE tenant_id = $1 AND revoked_at IS NULL AND created_at <= $3
                    ORDER BY created_at DESC LIMIT $2
                    """));
            case "overflow":
                return TypedResults.Ok(await ReadAsync(
                    "overflow",
                    """
                    SELECT pool_id, tenant_id, encryption_key_id, encryption_key, name FROM overflow_pools, platform_tenant
                    WHERE withdrawn_at IS NULL AND published_at <= $3
                    ORDER BY tenant_id <> $1, published_at DESC LIMIT $2
                    """));
            default:
                return Problems.Refuse(StatusCodes.Status400BadRequest, "badKind", $"Query parameter kind is '{kind}'. Known are: node, creator, overflow.");
        }

        async Task<KeyStatementList> ReadAsync(string name, string sql)
        {
            await using var command = database.CreateCommand(sql);
            command.Parameters.Add(new() { Value = user.TenantId().Value });
            command.Parameters.Add(new() { Value = MaxStatements });
            command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            var list = new List<string>();
            while (await reader.ReadAsync(cancellationToken))
            {
                list.Add(statements.Sign(name, reader.GetGuid(0), new TenantId(reader.GetGuid(1)), reader.GetString(2), reader.GetString(3), reader.GetString(4)));
            }

            return new KeyStatementList(list);
        }
    }
}
