using System.Diagnostics.CodeAnalysis;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>A job as its row says, read under the row's lock: whoever holds it may change the job, its units and its current attempts.</summary>
/// <param name="JobId">The key of <see cref="TaskIds.KeyOf"/>; creators know the job as <paramref name="ClientJobId"/>.</param>
internal sealed record Job(
    JobId JobId, TenantId TenantId, TaskId TaskId, string ContextId, string ManifestSha256, string ModuleName, string ModuleVersion,
    TenantId DeveloperTenantId, long RatePerMinuteMicrocredits, DeviceKind DeviceKind, long MemoryBytes, long ScratchBytes, IReadOnlySet<string> Recipients,
    int UnitCount, int MaxUnitDeviceSeconds, long UnitWorstCaseMicrocredits, long PriceMicrocredits,
    JobStatus Status, string? Reason, int UnitsCompleted, int UnitsFailed, long ChargedMicrocredits,
    DateTimeOffset SubmittedAt, DateTimeOffset DeadlineAt, DateTimeOffset? EndedAt, JobId ClientJobId, string? TraceParent = null)
{
    public string Module => $"{ModuleName}@{ModuleVersion}";

    /// <summary>Null where no trace is kept of the job.</summary>
    public JobTraceRoot? Trace => TraceParent is { } parent ? new JobTraceRoot(new JobMark(ClientJobId.Value, TenantId.Value), parent) : null;

    public bool HasEnded => Status is JobStatus.Completed or JobStatus.Failed or JobStatus.Canceled;

    public const string Columns =
        """
        job_id, tenant_id, task_id, context_id, manifest_sha256, module_name, module_version,
        developer_tenant_id, rate_per_minute_microcredits, device_kind, memory_bytes, scratch_bytes, recipients,
        unit_count, max_unit_device_seconds, unit_worst_case_microcredits, price_microcredits,
        status, reason, units_completed, units_failed, charged_microcredits,
        submitted_at, deadline_at, ended_at, client_job_id, trace_parent
        """;

    public static Job Read(NpgsqlDataReader reader) => new(
        new(reader.GetGuid(0)), new(reader.GetGuid(1)), new(reader.GetGuid(2)), reader.GetString(3), reader.GetString(4), reader.GetString(5), reader.GetString(6),
        new(reader.GetGuid(7)), reader.GetInt64(8), SqlNames.Parse<DeviceKind>(reader.GetString(9)), reader.GetInt64(10), reader.GetInt64(11),
        reader.Texts(12).ToHashSet(StringComparer.Ordinal),
        reader.GetInt32(13), reader.GetInt32(14), reader.GetInt64(15), reader.GetInt64(16),
        SqlNames.Parse<JobStatus>(reader.GetString(17)), reader.Text(18), reader.GetInt32(19), reader.GetInt32(20), reader.GetInt64(21),
        reader.Instant(22), reader.Instant(23), reader.Time(24), new(reader.GetGuid(25)), reader.Text(26));

    /// <summary>Locks and reads. Every writer takes this lock first, so that no two of them wait for each other crosswise.</summary>
    public static async Task<Job?> LockAsync(NpgsqlConnection connection, JobId jobId, CancellationToken cancellationToken)
    {
        await using var command = connection.Command($"SELECT {Columns} FROM jobs WHERE job_id = $1 FOR NO KEY UPDATE", jobId.Value);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Read(reader) : null;
    }
}
