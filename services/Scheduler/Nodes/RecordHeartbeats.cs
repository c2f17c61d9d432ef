using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Placement;
using RenderTrust.Scheduler.Supervision;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>
/// A hub's heartbeats, many nodes at once: one statement, then memory. Beats of an older epoch, or of a closed session, count for nothing.
/// A node that was lost and beats again must stop what was taken from it: its reserved slots turn to revocations.
/// </summary>
internal static class RecordHeartbeats
{
    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/node-heartbeats", HandleAsync);

    private static async Task<NoContent> HandleAsync(
        NodeHeartbeatBatch beats, NpgsqlDataSource dataSource, Fleet fleet, PlacerWake placer, SupervisorWake supervisor, TimeProvider time, CancellationToken cancellationToken)
    {
        if (beats.Heartbeats.Count == 0)
        {
            return TypedResults.NoContent();
        }

        // The newest of each node: one statement may not update a row twice.
        var newest = beats.Heartbeats.GroupBy(beat => beat.NodeId).Select(group => group.MaxBy(beat => (beat.Epoch, beat.SeenAt))!).ToList();
        await using var batch = dataSource.CreateBatch();
        batch.Add(
            """
            UPDATE nodes n SET seen_at = $1, status = 'online',
                latency_ms = CASE WHEN b.round_trip_ms > 0 THEN coalesce(0.8 * n.latency_ms + 0.2 * b.round_trip_ms, b.round_trip_ms) ELSE n.latency_ms END
            FROM unnest($2::uuid[], $3::bigint[], $4::float8[]) AS b (node_id, epoch, round_trip_ms)
            WHERE n.node_id = b.node_id AND n.epoch = b.epoch AND n.status <> 'offline'
            """,
            time.GetUtcNow(), newest.Select(beat => beat.NodeId.Value).ToArray(), newest.Select(beat => beat.Epoch).ToArray(),
            newest.Select(beat => double.IsFinite(beat.RoundTripMs) ? beat.RoundTripMs : 0).ToArray());
        batch.Add(
            """
            UPDATE attempts a SET status = 'revoking', reason = coalesce(a.reason, 'The node was lost and came back.'), revocation_sent_at = NULL
            FROM unnest($1::uuid[], $2::bigint[]) AS b (node_id, epoch) JOIN nodes n USING (node_id)
            WHERE a.node_id = b.node_id AND n.epoch = b.epoch AND a.status = 'lost'
            RETURNING 1
            """,
            newest.Select(beat => beat.NodeId.Value).ToArray(), newest.Select(beat => beat.Epoch).ToArray());
        await using (var reader = await batch.ExecuteReaderAsync(cancellationToken))
        {
            if (await reader.ReadAsync(cancellationToken))
            {
                supervisor.Wake();
            }
        }

        var back = false;
        foreach (var beat in newest)
        {
            back |= fleet.Heartbeat(beat);
        }

        if (back)
        {
            placer.CapacityChanged();
        }

        return TypedResults.NoContent();
    }
}
