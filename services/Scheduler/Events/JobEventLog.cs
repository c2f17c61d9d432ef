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
        Append(batch, jobId, kind, body, at, "");

    /// <summary>With a change of the job's row that the event tells of: one new version of the row for both.</summary>
    /// <param name="set">Further assignments, each after a comma; <paramref name="values"/> are their parameters, from $5.</param>
    public static void Append(NpgsqlBatch batch, JobId jobId, JobEventKind kind, JobEventBody body, DateTimeOffset at, string set, params object[] values) =>
        batch.Add(
            $"""
            WITH job AS (UPDATE jobs SET last_seq = last_seq + 1{set} WHERE job_id = $1 RETURNING last_seq)
            INSERT INTO job_events (job_id, seq, kind, at, body) SELECT $1, last_seq, $2, $3, $4 FROM job
            """,
            [jobId.Value, SqlNames.Of(kind), at, new JsonValue(JsonSerializer.Serialize(body, WireJson.Options)), .. values]);
}
