using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.Scheduler.Modules;
using RenderTrust.Scheduler.Placement;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>
/// Accepts a job: its rows, its hold, its first event and its messages in one transaction. Idempotent on (tenant, job, manifest hash).
/// Two round trips to the database: everything in one batch, and the commit.
/// </summary>
internal sealed partial class SubmitJob(
    NpgsqlDataSource dataSource, ModuleDirectory modules, PlacerWake placer, JobEventSignal events,
    TimeProvider time, IOptions<SchedulerOptions> options, IOptions<SagaOptions> sagas, ILogger<SubmitJob> logger)
{
    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/jobs", HandleAsync);

    private static async Task<Ok<SubmitJobResponse>> HandleAsync(SubmitJobRequest request, SubmitJob submit, CancellationToken cancellationToken) =>
        TypedResults.Ok(await submit.SubmitAsync(request, cancellationToken));

    public async Task<SubmitJobResponse> SubmitAsync(SubmitJobRequest request, CancellationToken cancellationToken)
    {
        using var span = JobActivities.Begin("accept job");
        span?.SetTag(TelemetryNames.UnitCount, request.Spec.UnitCount);
        var response = await DecideAsync(request, cancellationToken);
        span?.SetTag(TelemetryNames.Outcome, response.Outcome.ToString());
        LogDecided(logger, request.Spec.JobId, request.TenantId, response.Outcome);
        return response;
    }

    /// <summary>
    /// Runs the whole transaction once for nobody, who has no credits, and so rolls it back: the first creator does not wait for the compiler.
    /// </summary>
    public async Task WarmUpAsync(ModuleVersion module, CancellationToken cancellationToken)
    {
        var manifest = new AssetRef(Guid.CreateVersion7(), new string('0', 64), 1);
        var spec = new JobSpec(
            JobId.New(), module.Reference, manifest, 1, 1, long.MaxValue, 10, [], [new AssetGrant(manifest.AssetId, "nobody", new byte[65], new byte[48])]);
        var decision = SubmitRules.Decide(spec, module, 0);
        await InsertAsync(new SubmitJobRequest(TenantId.New(), "", spec, time.GetUtcNow()), module, decision, cancellationToken);
    }

    private async Task<SubmitJobResponse> DecideAsync(SubmitJobRequest request, CancellationToken cancellationToken)
    {
        var spec = request.Spec;
        if (!modules.TryGetCached(spec.Module, out var module))
        {
            // A retry must be answered as the first call was, even when the catalog is away by now.
            if (await FindEarlierAsync(request, cancellationToken) is { } earlier)
            {
                return earlier;
            }

            module = await modules.FindAsync(spec.Module, cancellationToken);
        }

        var decision = SubmitRules.Decide(spec, module, module is null ? 0 : options.Value.NodeRate(module.Runtime.DeviceKind));
        if (decision.Refusal is { } refusal)
        {
            return await FindEarlierAsync(request, cancellationToken)
                ?? new SubmitJobResponse(refusal, null, decision.PriceMicrocredits, 0, decision.Explanation);
        }

        try
        {
            return await InsertAsync(request, module!, decision, cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation && exception.ConstraintName is "jobs_pkey" or "jobs_task_id_key" or "jobs_client_job_id_key")
        {
            // The same submission won a moment ago, or long ago; it is committed, since the insert waited for it.
            return await FindEarlierAsync(request, cancellationToken)
                ?? throw new UnreachableException($"Job {spec.JobId} violated {exception.ConstraintName} and cannot be found.");
        }
    }

    private async Task<SubmitJobResponse?> FindEarlierAsync(SubmitJobRequest request, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            "SELECT tenant_id, manifest_sha256, task_id, price_microcredits FROM jobs WHERE job_id = $1", TaskIds.KeyOf(request.TenantId, request.Spec.JobId).Value);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        var same = reader.GetGuid(0) == request.TenantId.Value && reader.GetString(1) == request.Spec.Manifest.BlobSha256;
        return same
            ? new SubmitJobResponse(SubmitOutcome.AlreadyAccepted, new TaskId(reader.GetGuid(2)), reader.GetInt64(3), 0, null)
            : new SubmitJobResponse(
                SubmitOutcome.ConflictingContent, null, 0, 0,
                $"Job id {request.Spec.JobId} is taken by a job with another manifest. Use a new id (UUIDv7) for new content.");
    }

    private async Task<SubmitJobResponse> InsertAsync(SubmitJobRequest request, ModuleVersion module, SubmitDecision decision, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var taskId = TaskIds.Of(request.TenantId, request.Spec.JobId);
        var deadline = now.AddSeconds(request.Spec.DeadlineSeconds);
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        AddRows(batch, request, taskId, module, decision, now, deadline);
        SagaSignals.Expect(batch, TaskIds.KeyOf(request.TenantId, request.Spec.JobId), now.AddSeconds(sagas.Value.StartDelaySeconds));

        // Last: the creator's account is locked for as short as can be.
        batch.Add(
            "SELECT outcome, available_microcredits FROM ledger.place_hold_v1($1, $2, $3, $4, $5)",
            taskId.Value, request.TenantId.Value, decision.PriceMicrocredits, deadline.AddSeconds(options.Value.HoldGraceSeconds), request.Spec.JobId.Value);

        HoldOutcome hold;
        long available;
        await using (var reader = await batch.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            hold = SqlNames.Parse<HoldOutcome>(reader.GetString(0));
            available = reader.Long(1) ?? 0;
        }

        if (hold is not (HoldOutcome.Placed or HoldOutcome.AlreadyPlaced))
        {
            await transaction.RollbackAsync(cancellationToken);
            return Refuse(hold, request, decision.PriceMicrocredits, available);
        }

        Failpoint.Hit("scheduler.submit.beforeCommit");
        // Not the caller's token: once the commit is sent, its outcome must be learnt.
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("scheduler.submit.afterCommit");
        placer.JobSubmitted();
        events.Raise();
        return new SubmitJobResponse(SubmitOutcome.Accepted, taskId, decision.PriceMicrocredits, available, null);
    }

    private static void AddRows(
        NpgsqlBatch batch, SubmitJobRequest request, TaskId taskId, ModuleVersion module, SubmitDecision decision, DateTimeOffset now, DateTimeOffset deadline)
    {
        var spec = request.Spec;
        var key = TaskIds.KeyOf(request.TenantId, spec.JobId);
        batch.Add(
            """
            INSERT INTO jobs (job_id, tenant_id, task_id, context_id, manifest_sha256, module_name, module_version,
                developer_tenant_id, rate_per_minute_microcredits, runtime, manifest, assets, public_parameters, allow_overflow,
                recipients, device_kind, memory_bytes, scratch_bytes, unit_count, max_unit_device_seconds,
                unit_worst_case_microcredits, price_microcredits, cap_microcredits, submitted_at, deadline_at, client_job_id, trace_parent)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
            """,
            key.Value, request.TenantId.Value, taskId.Value, request.ContextId, spec.Manifest.BlobSha256, module.Name, module.Version,
            module.DeveloperTenantId.Value, module.RatePerMinuteMicrocredits, JsonValue.Of(module.Runtime), JsonValue.Of(spec.Manifest), JsonValue.Of(spec.Assets),
            new JsonValue(spec.PublicParameters?.GetRawText()), spec.AllowOverflow,
            decision.Recipients.ToArray(), SqlNames.Of(module.Runtime.DeviceKind), module.Runtime.MemoryMebibytes * 1_048_576L, decision.ScratchBytes,
            spec.UnitCount, spec.MaxUnitDeviceSeconds, decision.UnitWorstCaseMicrocredits, decision.PriceMicrocredits, spec.CapMicrocredits, now, deadline, spec.JobId.Value,
            new TypedValue(JobActivities.ParentToKeep(spec.JobId, request.TenantId), NpgsqlDbType.Text));
        batch.Add("INSERT INTO units (job_id, unit_index) SELECT $1, generate_series(0, $2 - 1)", key.Value, spec.UnitCount);
        batch.Add(
            "INSERT INTO pending_units (job_id, unit_index, ready_at) SELECT $1, generate_series(0, $2 - 1), $3", key.Value, spec.UnitCount, now);

        // A grant for the manifest alone makes no node of its holder: it is the creator's own, with which outputs are checked from another machine.
        var complete = decision.Recipients.ToHashSet(StringComparer.Ordinal);
        var grants = spec.Grants.Where(grant => complete.Contains(grant.RecipientKeyId) || grant.AssetId == spec.Manifest.AssetId).DistinctBy(grant => (grant.RecipientKeyId, grant.AssetId)).ToList();
        batch.Add(
            """
            INSERT INTO job_grants (job_id, recipient_key_id, asset_id, encapsulated_key, wrapped_key)
            SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::bytea[], $5::bytea[])
            """,
            key.Value, grants.Select(grant => grant.RecipientKeyId).ToArray(), grants.Select(grant => grant.AssetId).ToArray(),
            grants.Select(grant => grant.EncapsulatedKey).ToArray(), grants.Select(grant => grant.WrappedKey).ToArray());
        JobEventLog.Append(
            batch, key, JobEventKind.Submitted,
            new JobEventBody(Status: JobStatus.Submitted, Reason: "Accepted; waits for a node.", UnitCount: spec.UnitCount, UnitsCompleted: 0, UnitsFailed: 0), now);
    }

    private static SubmitJobResponse Refuse(HoldOutcome hold, SubmitJobRequest request, long price, long available) => hold switch
    {
        HoldOutcome.ConflictingAmount => new(
            SubmitOutcome.ConflictingContent, null, price, available,
            $"Job id {request.Spec.JobId} is taken. Use a new id (UUIDv7) for new content."),
        HoldOutcome.AccountBlocked => new(
            SubmitOutcome.AccountBlocked, null, price, available, "The account is blocked for spending. Settle what it owes, then submit again."),
        HoldOutcome.InsufficientCredits => new(
            SubmitOutcome.InsufficientCredits, null, price, available,
            $"The job may cost {price} micro-credits and {available} are available. Top up at least {price - available}, or lower units or maxUnitDeviceSeconds."),
        _ => throw new UnreachableException($"The ledger answered {hold}."),
    };

    [LoggerMessage(LogLevel.Information, "Job {JobId} of tenant {TenantId}: {Outcome}")]
    private static partial void LogDecided(ILogger logger, JobId jobId, TenantId tenantId, SubmitOutcome outcome);
}
