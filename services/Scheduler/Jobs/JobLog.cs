using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Reads the whole log of one job.</summary>
internal sealed class JobLog(NpgsqlDataSource dataSource)
{
    /// <returns>Null when there is no such task of this tenant: unknown and foreign look the same.</returns>
    public async Task<TaskLog?> FindAsync(TaskId taskId, TenantId tenantId, CancellationToken cancellationToken)
    {
        await using var batch = dataSource.CreateBatch();
        batch.Add("SELECT client_job_id, context_id, status FROM jobs WHERE task_id = $1 AND tenant_id = $2", taskId.Value, tenantId.Value);
        batch.Add(
            """
            SELECT e.seq, e.kind, e.at, e.body::text FROM job_events e JOIN jobs j USING (job_id)
            WHERE j.task_id = $1 AND j.tenant_id = $2 ORDER BY e.seq
            """,
            taskId.Value, tenantId.Value);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        var jobId = new JobId(reader.GetGuid(0));
        var contextId = reader.GetString(1);
        var status = SqlNames.Parse<JobStatus>(reader.GetString(2));
        await reader.NextResultAsync(cancellationToken);
        var events = new List<JobEvent>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var body = reader.Json<JobEventBody>(3)!;
            events.Add(new JobEvent(
                taskId, jobId, tenantId, contextId, reader.GetInt64(0), KindOf(reader.GetString(1)), reader.Instant(2), body));

            // The two statements have a snapshot each: what the later one shows is the newer truth.
            if (body.Status is { } changed)
            {
                status = changed;
            }
        }

        return new TaskLog(taskId, jobId, contextId, status, events);
    }

    /// <summary>A kind that a newer version wrote is shown as unknown, not as an error.</summary>
    public static JobEventKind KindOf(string text) => Enum.TryParse<JobEventKind>(text, ignoreCase: true, out var kind) ? kind : JobEventKind.Unknown;
}
