using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>Facts of a node for the hub and the scheduler.</summary>
internal static class GetNode
{
    public static async Task<Results<Ok<NodeIdentity>, ProblemHttpResult>> HandleAsync(NodeId nodeId, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT tenant_id, name, encryption_key_id, revoked_at IS NOT NULL FROM nodes WHERE node_id = $1");
        command.Parameters.Add(new() { Value = nodeId.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? TypedResults.Ok(new NodeIdentity(nodeId, new TenantId(reader.GetGuid(0)), reader.GetString(1), reader.GetString(2), reader.GetBoolean(3)))
            : Problems.Refuse(StatusCodes.Status404NotFound, "unknown", $"There is no node {nodeId}.");
    }
}
