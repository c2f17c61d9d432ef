using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Events;

/// <summary>
/// Appends to a job's log. The counter on the job's row gives numbers without gaps, and its row lock keeps one writer per job;
/// the caller's transaction makes event and change one.
/// </summary>
internal static class JobEventLog
{
    public static void Append(NpgsqlBatch batch, JobId jobId, JobEventKind kind, JobEventBody body, DateTimeOffset at) =>
        batch.Add(
            """
            WITH job AS (UPDATE jobs SET last_seq = last_seq + 1 WHERE job_id = $1 RETURNING last_seq)
            INSERT INTO job_events (job_id, seq, kind, at, body) SELECT $1, last_seq, $2, $3, $4 FROM job
            """,
            jobId.Value, SqlNames.Of(kind), at, new JsonValue(JsonSerializer.Serialize(body, WireJson.Options)));

    /// <summary>Tells the tails of other replicas; those of this process hear <see cref="JobEventSignal"/>.</summary>
    public static void Wake(NpgsqlBatch batch, JobId jobId) =>
        batch.Add(
            "INSERT INTO outbox (message_id, component, topic, payload) VALUES ($1, $2, $3, jsonb_build_object('taskId', $4::text))",
            Guid.CreateVersion7(), Topics.Broadcast, Topics.JobEvents, jobId.ToString());
}
