using Dapr;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>The fact that a unit went to the overflow lane: told in the transaction that puts it there, heard by every replica's launcher.</summary>
internal static class OnUnitOverflowed
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/internal/on/overflow", (OverflowWake wake) =>
    {
        wake.Wake();
        return TypedResults.NoContent();
    }).WithTopic(Topics.Broadcast, Topics.Overflow).RequireSidecar();

    /// <summary>Adds the fact to a batch of a transaction that holds the job's lock. Its id is that of the effect, so a repeat tells nothing new.</summary>
    /// <param name="cause">Why the fleet could not complete the unit.</param>
    public static void Tell(NpgsqlBatch batch, JobId jobId, int unitIndex, string cause, DateTimeOffset now) =>
        batch.Add(
            """
            INSERT INTO outbox (message_id, component, topic, payload)
            SELECT $3, $4, $5, jsonb_build_object(
                'eventId', $3, 'jobId', client_job_id, 'taskId', task_id, 'tenantId', tenant_id, 'unitIndex', $2, 'cause', $6::text, 'at', $7)
            FROM jobs WHERE job_id = $1
            ON CONFLICT (message_id) DO NOTHING
            """,
            jobId.Value, unitIndex, EffectIds.Of($"{jobId}/{unitIndex}/overflow"), Topics.Broadcast, Topics.Overflow, cause, now);
}
