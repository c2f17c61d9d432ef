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

    /// <summary>The same for the gateway, which follows them for as long as somebody looks.</summary>
    public static void MapInternal(IEndpointRouteBuilder api) => api.MapGet("/internal/nodes", HandleInternalAsync);

    private static async Task<Ok<NodeList>> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource dataSource, TimeProvider time, CancellationToken cancellationToken) =>
        TypedResults.Ok(await ReadAsync(user.TenantId(), dataSource, time.GetUtcNow(), cancellationToken));

    private static async Task<Ok<NodeList>> HandleInternalAsync(TenantId tenantId, NpgsqlDataSource dataSource, TimeProvider time, CancellationToken cancellationToken) =>
        TypedResults.Ok(await ReadAsync(tenantId, dataSource, time.GetUtcNow(), cancellationToken));

    private static async Task<NodeList> ReadAsync(TenantId owner, NpgsqlDataSource dataSource, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            """
            SELECT n.node_id, n.name, n.status, n.capabilities::text, n.seen_at, n.recipient_key_id,
                (SELECT count(*) FROM attempts a WHERE a.node_id = n.node_id AND a.status IN ('offered', 'running', 'revoking', 'lost'))::int,
                n.latency_ms, coalesce(day.earned, 0)::bigint, coalesce(day.completed, 0)::int
            FROM nodes n LEFT JOIN (
                SELECT a.node_id, sum(a.node_share_microcredits) AS earned, count(*) AS completed
                FROM attempts a JOIN nodes mine USING (node_id)
                WHERE mine.owner_tenant_id = $1 AND a.status = 'completed' AND a.ended_at > $2 GROUP BY a.node_id) day USING (node_id)
            WHERE n.owner_tenant_id = $1 ORDER BY n.name, n.node_id
            """,
            owner.Value, now.AddDays(-1));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var nodes = new List<NodeListItem>();
        while (await reader.ReadAsync(cancellationToken))
        {
            nodes.Add(new NodeListItem(
                new(reader.GetGuid(0)), reader.GetString(1), reader.GetString(2), reader.Json<NodeCapabilities>(3), reader.GetInt32(6), reader.Time(4), reader.GetString(5),
                reader.Double(7), reader.GetInt64(8), reader.GetInt32(9)));
        }

        return new NodeList(nodes);
    }
}
