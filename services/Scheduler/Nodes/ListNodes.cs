using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>The caller's own nodes.</summary>
internal static class ListNodes
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/nodes", HandleAsync);

    private static async Task<Ok<NodeList>> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            """
            SELECT node_id, name, status, capabilities::text, seen_at, recipient_key_id,
                (SELECT count(*) FROM attempts a WHERE a.node_id = n.node_id AND a.status IN ('offered', 'running', 'revoking', 'lost'))::int
            FROM nodes n WHERE owner_tenant_id = $1 ORDER BY name, node_id
            """,
            user.TenantId().Value);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var nodes = new List<NodeListItem>();
        while (await reader.ReadAsync(cancellationToken))
        {
            nodes.Add(new NodeListItem(
                new(reader.GetGuid(0)), reader.GetString(1), reader.GetString(2), reader.Json<NodeCapabilities>(3), reader.GetInt32(6), reader.Time(4), reader.GetString(5)));
        }

        return TypedResults.Ok(new NodeList(nodes));
    }
}
