using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>Ask for a lease: this unit, claimed by this placer, on this node's session.</summary>
public sealed record LeaseRequest(
    NodeId NodeId, long Epoch, JobId JobId, int UnitIndex, Guid ClaimId, string RecipientKeyId, DateTimeOffset ReadyAt, PlacementDecision Decision);

/// <summary>Outcomes in the order of the checks.</summary>
public enum LeaseOutcome
{
    Leased,
    JobEnded,
    UnitTaken,
    StaleSession,
    HoldExhausted,
    SlotTaken,
    NoFreeSlot,
}

/// <param name="Offer">What the node is to be told; set when leased.</param>
public sealed record LeaseResponse(LeaseOutcome Outcome, string? HubAppId, LeaseOffer? Offer, string? Explanation);

/// <summary>A node's slots; those in <paramref name="Reserved"/> are not free.</summary>
internal sealed record NodeSlots(int Count, HashSet<int> Reserved)
{
    public int? FirstFree()
    {
        for (var slot = 0; slot < Count; slot++)
        {
            if (!Reserved.Contains(slot))
            {
                return slot;
            }
        }

        return null;
    }
}

/// <summary>
/// Inserts an attempt: the one act that leases. In its transaction it checks again that the job still runs, that the claim on the unit stands,
/// that the session is the node's present one and that the hold covers one more unit. Slot and unit are decided by unique indexes,
/// so two owners of the same node, or two placers, cannot both win.
/// </summary>
internal sealed class LeaseSlot(NpgsqlDataSource dataSource, TimeProvider time, IOptions<SchedulerOptions> options)
{
    public async Task<LeaseResponse> TryAsync(LeaseRequest request, int slot, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        Checked check;
        await using (var batch = new NpgsqlBatch(connection, transaction))
        {
            AddChecks(batch, request);
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            check = await ReadChecksAsync(reader, request, cancellationToken);
        }

        if (check.Refusal is { } refusal)
        {
            await transaction.RollbackAsync(cancellationToken);
            return new LeaseResponse(refusal, null, null, check.Explanation);
        }

        var attemptId = AttemptId.New();
        var number = check.AttemptCount + 1;
        var expires = now.AddSeconds(check.MaxUnitDeviceSeconds + options.Value.LeaseGraceSeconds);
        long token;
        try
        {
            await using var batch = new NpgsqlBatch(connection, transaction);
            batch.Add(
                """
                INSERT INTO attempts (attempt_id, job_id, unit_index, number, node_id, slot, epoch, hub_app_id, ready_at, leased_at, lease_expires_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING fencing_token
                """,
                attemptId.Value, request.JobId.Value, request.UnitIndex, number, request.NodeId.Value, slot, request.Epoch, check.HubAppId, request.ReadyAt, now, expires);
            JobTransitions.LeaseUnit(batch, request.JobId, request.UnitIndex);
            batch.Add("INSERT INTO placement_decisions (attempt_id, trace) VALUES ($1, $2)", attemptId.Value, JsonValue.Of(request.Decision));
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            token = reader.GetInt64(0);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            await transaction.RollbackAsync(CancellationToken.None);
            return new LeaseResponse(
                exception.ConstraintName == "attempts_one_per_slot" ? LeaseOutcome.SlotTaken : LeaseOutcome.UnitTaken,
                null, null, $"Constraint {exception.ConstraintName} refused slot {slot} for unit {request.UnitIndex}.");
        }

        Failpoint.Hit("scheduler.lease.beforeCommit");
        // Not the caller's token: a lease whose commit is in doubt would stay reserved until it expires.
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("scheduler.lease.afterCommit");
        return new LeaseResponse(LeaseOutcome.Leased, check.HubAppId, check.ToOffer(request, attemptId, token, slot, number, expires), null);
    }

    /// <summary>How many slots a node has, and which of them some attempt reserves, as the tables say.</summary>
    public async Task<NodeSlots> ReadSlotsAsync(NodeId nodeId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            """
            SELECT (capabilities ->> 'slots')::int,
                ARRAY(SELECT slot FROM attempts a WHERE a.node_id = n.node_id AND a.status IN ('offered', 'running', 'revoking', 'lost'))
            FROM nodes n WHERE node_id = $1
            """,
            nodeId.Value);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new NodeSlots(reader.GetInt32(0), [.. reader.Ints(1)])
            : new NodeSlots(0, []);
    }

    private static void AddChecks(NpgsqlBatch batch, LeaseRequest request)
    {
        // Shared: leases of one job go side by side, but none beside its end.
        batch.Add(
            """
            SELECT status, tenant_id, task_id, unit_count, max_unit_device_seconds, unit_worst_case_microcredits,
                module_name || '@' || module_version, runtime::text, manifest::text, assets::text, client_job_id
            FROM jobs WHERE job_id = $1 FOR SHARE
            """,
            request.JobId.Value);
        batch.Add(
            "DELETE FROM pending_units WHERE job_id = $1 AND unit_index = $2 AND claim_id = $3 RETURNING 1",
            request.JobId.Value, request.UnitIndex, request.ClaimId);
        batch.Add("SELECT attempt_count FROM units WHERE job_id = $1 AND unit_index = $2", request.JobId.Value, request.UnitIndex);
        // A key share lock lets heartbeats pass and keeps a new session out until this lease is in the table.
        batch.Add("SELECT epoch, status, hub_app_id FROM nodes WHERE node_id = $1 FOR KEY SHARE", request.NodeId.Value);
        batch.Add("SELECT held, captured, closed FROM ledger.hold_room_v1($1)", request.JobId.Value);
        batch.Add(
            "SELECT asset_id, encapsulated_key, wrapped_key FROM job_grants WHERE job_id = $1 AND recipient_key_id = $2",
            request.JobId.Value, request.RecipientKeyId);
    }

    private static async Task<Checked> ReadChecksAsync(NpgsqlDataReader reader, LeaseRequest request, CancellationToken cancellationToken)
    {
        if (!await reader.ReadAsync(cancellationToken) || SqlNames.Parse<JobStatus>(reader.GetString(0)) is not (JobStatus.Submitted or JobStatus.Running))
        {
            return Checked.Refuse(LeaseOutcome.JobEnded, "The job has ended.");
        }

        var check = new Checked
        {
            TenantId = new(reader.GetGuid(1)),
            TaskId = new(reader.GetGuid(2)),
            ClientJobId = new(reader.GetGuid(10)),
            UnitCount = reader.GetInt32(3),
            MaxUnitDeviceSeconds = reader.GetInt32(4),
            Module = reader.GetString(6),
            Runtime = reader.Json<ModuleRuntime>(7),
            Manifest = reader.Json<AssetRef>(8),
            Assets = reader.Json<List<AssetRef>>(9)!,
        };
        var worstCase = reader.GetInt64(5);

        await reader.NextResultAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return Checked.Refuse(LeaseOutcome.UnitTaken, "Another placer took the unit.");
        }

        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        check.AttemptCount = reader.GetInt32(0);

        await reader.NextResultAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken) || reader.GetInt64(0) != request.Epoch || reader.GetString(1) != "online" || reader.IsNull(2))
        {
            return Checked.Refuse(LeaseOutcome.StaleSession, $"Session {request.Epoch} of the node has ended.");
        }

        check.HubAppId = reader.GetString(2);

        await reader.NextResultAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken) || reader.IsNull(0))
        {
            return Checked.Refuse(LeaseOutcome.HoldExhausted, "The job has no hold.");
        }

        var (held, captured, closed) = (reader.GetInt64(0), reader.GetInt64(1), reader.GetBoolean(2));
        if (closed || held - captured < worstCase)
        {
            return Checked.Refuse(
                LeaseOutcome.HoldExhausted,
                $"The hold of {held} micro-credits has {held - captured} left and is {(closed ? "closed" : "open")}; a unit may cost {worstCase}.");
        }

        await reader.NextResultAsync(cancellationToken);
        var grants = new List<AssetGrant>();
        while (await reader.ReadAsync(cancellationToken))
        {
            grants.Add(new AssetGrant(reader.GetGuid(0), request.RecipientKeyId, reader.Bytes(1), reader.Bytes(2)));
        }

        check.Grants = grants;
        return check;
    }

    private sealed class Checked
    {
        public LeaseOutcome? Refusal { get; private init; }

        public string? Explanation { get; private init; }

        public TenantId TenantId { get; init; }

        public TaskId TaskId { get; init; }

        /// <summary>What the creator's grants name the job by.</summary>
        public JobId ClientJobId { get; init; }

        public int UnitCount { get; init; }

        public int MaxUnitDeviceSeconds { get; init; }

        public string Module { get; init; } = "";

        public ModuleRuntime? Runtime { get; init; }

        public AssetRef? Manifest { get; init; }

        public IReadOnlyList<AssetRef> Assets { get; init; } = [];

        public int AttemptCount { get; set; }

        public string HubAppId { get; set; } = "";

        public IReadOnlyList<AssetGrant> Grants { get; set; } = [];

        public static Checked Refuse(LeaseOutcome outcome, string explanation) => new() { Refusal = outcome, Explanation = explanation };

        public LeaseOffer ToOffer(LeaseRequest request, AttemptId attemptId, long token, int slot, int number, DateTimeOffset expires) => new(
            request.NodeId, request.Epoch, attemptId, token, slot, TenantId, ClientJobId, TaskId, request.UnitIndex, UnitCount, number,
            Module, Runtime!, Manifest!, Assets, Grants, MaxUnitDeviceSeconds, expires);
    }
}
