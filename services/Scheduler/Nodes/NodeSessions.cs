using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.Scheduler.Placement;
using RenderTrust.Scheduler.Traces;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>A node's sessions in the tables. Epochs rise under the node's row lock; a lease of the old session either is in the table before, or fails.</summary>
internal sealed partial class NodeSessions(
    NpgsqlDataSource dataSource, Fleet fleet, PlacerWake placer, SagaWake sagas, JobEventSignal events, Outbox outbox, JobActivities activities,
    TimeProvider time, ILogger<NodeSessions> logger)
{
    public async Task<OpenNodeSessionResponse> OpenAsync(OpenNodeSessionRequest request, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);

        // The strong lock, which the upsert alone would not take: leases hold a key share lock while they insert.
        batch.Add("SELECT count(*) FROM (SELECT 1 FROM nodes WHERE node_id = $1 FOR UPDATE) locked", request.NodeId.Value);
        batch.Add(
            """
            INSERT INTO nodes (node_id, owner_tenant_id, name, recipient_key_id, capabilities, epoch, hub_app_id, status, seen_at, first_seen_at, lane)
            VALUES ($1, $2, $3, $4, $5, 1, $6, 'online', $7, $7,
                CASE WHEN EXISTS (SELECT 1 FROM overflow_keys WHERE recipient_key_id = $4) THEN 'overflow' ELSE 'fleet' END)
            ON CONFLICT (node_id) DO UPDATE SET owner_tenant_id = $2, name = $3, recipient_key_id = $4, capabilities = $5,
                epoch = nodes.epoch + 1, hub_app_id = $6, status = 'online', seen_at = $7,
                lane = CASE WHEN nodes.lane = 'overflow' AND nodes.recipient_key_id = $4 THEN 'overflow' ELSE excluded.lane END
            RETURNING epoch, lane
            """,
            request.NodeId.Value, request.OwnerTenantId.Value, request.Name, request.RecipientKeyId, JsonValue.Of(request.Capabilities), request.HubAppId, now);
        batch.Add("UPDATE node_sessions SET closed_at = $2 WHERE node_id = $1 AND closed_at IS NULL", request.NodeId.Value, now);
        batch.Add(
            "INSERT INTO node_sessions (node_id, epoch, hub_app_id, opened_at) SELECT node_id, epoch, hub_app_id, $2 FROM nodes WHERE node_id = $1",
            request.NodeId.Value, now);

        // The agent stops everything that it is not told to keep, so these slots are free from its first frame on.
        batch.Add(
            "UPDATE attempts SET status = 'revoked', ended_at = $2 WHERE node_id = $1 AND status IN ('revoking', 'lost')", request.NodeId.Value, now);
        // Naming an attempt acknowledges it too: an offer whose acknowledgement was lost with the old stream must not be taken back for that.
        batch.Add(
            """
            WITH current AS (
                SELECT attempt_id FROM attempts WHERE node_id = $1 AND status IN ('offered', 'running') AND $2 IS NOT NULL ORDER BY attempt_id FOR NO KEY UPDATE)
            UPDATE attempts a SET missing_since = CASE WHEN a.attempt_id = ANY($2) THEN NULL ELSE coalesce(missing_since, $3) END,
                acknowledged_at = CASE WHEN a.attempt_id = ANY($2) THEN coalesce(acknowledged_at, $3) ELSE acknowledged_at END
            FROM current c WHERE a.attempt_id = c.attempt_id
            """,
            request.NodeId.Value,
            new TypedValue(request.RunningAttempts?.Select(id => id.Value).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.Uuid), now);
        batch.Add(
            "SELECT a.attempt_id, a.slot, j.tenant_id, j.memory_bytes, a.unit_index, j.client_job_id, j.trace_parent FROM attempts a JOIN jobs j USING (job_id) WHERE a.node_id = $1 AND a.status IN ('offered', 'running')",
            request.NodeId.Value);
        AddFact(batch, request.NodeId, request.OwnerTenantId, "online", $"Session opened at {request.HubAppId}.", now);

        long epoch;
        UnitLane lane;
        var live = new List<(LiveAttempt Attempt, int Slot, long MemoryBytes)>();
        await using (var reader = await batch.ExecuteReaderAsync(cancellationToken))
        {
            await reader.NextResultAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            epoch = reader.GetInt64(0);
            lane = SqlNames.Parse<UnitLane>(reader.GetString(1));
            await reader.NextResultAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                var trace = activities.Traces(reader.GetInt32(4)) ? reader.Text(6) : null;
                live.Add((
                    new LiveAttempt(new(reader.GetGuid(0)), new(reader.GetGuid(2)), trace is null ? null : new JobId(reader.GetGuid(5)), trace),
                    reader.GetInt32(1), reader.GetInt64(3)));
            }
        }

        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("scheduler.session.afterCommit");
        fleet.SessionOpened(request, lane, epoch, live.ToDictionary(item => item.Slot, item => item.MemoryBytes));
        placer.CapacityChanged();
        outbox.Wake();
        LogOpened(logger, request.NodeId, request.Name, epoch, request.HubAppId, live.Count);
        return new OpenNodeSessionResponse(epoch, [.. live.Select(item => item.Attempt.AttemptId)], [.. live.Select(item => item.Attempt)]);
    }

    /// <summary>A closed stream is not yet a lost node: its leases stay until it is silent for too long.</summary>
    public async Task CloseAsync(CloseNodeSessionRequest request, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.Add(
            """
            WITH closed AS (
                UPDATE nodes SET status = 'offline' WHERE node_id = $1 AND epoch = $2 AND status <> 'offline' RETURNING node_id, owner_tenant_id)
            INSERT INTO outbox (message_id, component, topic, payload)
            SELECT $3, $4, $5, jsonb_build_object('nodeId', node_id, 'ownerTenantId', owner_tenant_id, 'kind', 'offline', 'reason', 'Session closed.', 'at', $6)
            FROM closed
            """,
            request.NodeId.Value, request.Epoch, Guid.CreateVersion7(), Topics.PubSub, Topics.NodeEvents, now);
        batch.Add(
            "UPDATE node_sessions SET closed_at = $3 WHERE node_id = $1 AND epoch = $2 AND closed_at IS NULL", request.NodeId.Value, request.Epoch, now);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
        fleet.SessionClosed(request.NodeId, request.Epoch);
        outbox.Wake();
        LogClosed(logger, request.NodeId, request.Epoch);
    }

    /// <summary>
    /// Silent for too long: its current attempts lose their tokens, and the sagas of their jobs send their units to other nodes. The slots stay reserved.
    /// One transaction per job, each under that job's lock.
    /// </summary>
    public async Task MarkLostAsync(MarkNodeLostRequest request, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using (var connection = await dataSource.OpenConnectionAsync(cancellationToken))
        await using (var transaction = await connection.BeginTransactionAsync(cancellationToken))
        {
            TenantId owner;
            await using (var mark = connection.Command(
                "UPDATE nodes SET status = 'lost' WHERE node_id = $1 AND seen_at < $2 RETURNING owner_tenant_id",
                request.NodeId.Value, request.SeenBefore))
            {
                if (await mark.ExecuteScalarAsync(cancellationToken) is not Guid found)
                {
                    return;
                }

                owner = new(found);
            }

            await using var batch = new NpgsqlBatch(connection, transaction);
            AddFact(batch, request.NodeId, owner, "lost", $"Not seen since before {request.SeenBefore:O}.", now);
            await batch.ExecuteNonQueryAsync(cancellationToken);
            await transaction.CommitAsync(CancellationToken.None);
        }

        Failpoint.Hit("scheduler.lost.afterMark");
        LogLost(logger, request.NodeId);
        foreach (var attemptId in await CurrentAttemptsAsync(request.NodeId, cancellationToken))
        {
            await LoseAsync(attemptId, now, cancellationToken);
        }

        sagas.Wake();
        events.Raise();
        outbox.Wake();
    }

    private async Task<List<AttemptId>> CurrentAttemptsAsync(NodeId nodeId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command("SELECT attempt_id FROM attempts WHERE node_id = $1 AND status IN ('offered', 'running')", nodeId.Value);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var found = new List<AttemptId>();
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new(reader.GetGuid(0)));
        }

        return found;
    }

    private async Task LoseAsync(AttemptId attemptId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Attempt.LockAsync(connection, attemptId, cancellationToken) is not { } found || !found.Attempt.TokenIsCurrent)
        {
            return;
        }

        var (job, attempt) = found;
        await using var batch = new NpgsqlBatch(connection, transaction);
        AttemptTransitions.Lose(batch, job, attempt, now);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        Failpoint.Hit("scheduler.lost.beforeCommit");
        await transaction.CommitAsync(CancellationToken.None);
    }

    private static void AddFact(NpgsqlBatch batch, NodeId nodeId, TenantId owner, string kind, string reason, DateTimeOffset at) =>
        batch.Add(
            """
            INSERT INTO outbox (message_id, component, topic, payload)
            VALUES ($1, $2, $3, jsonb_build_object('nodeId', $4::uuid, 'ownerTenantId', $5::uuid, 'kind', $6::text, 'reason', $7::text, 'at', $8::timestamptz))
            """,
            Guid.CreateVersion7(), Topics.PubSub, Topics.NodeEvents, nodeId.Value, owner.Value, kind, reason, at);

    [LoggerMessage(LogLevel.Information, "Node {NodeId} ({Name}) opened session {Epoch} at {HubAppId}; {LiveAttempts} attempts live")]
    private static partial void LogOpened(ILogger logger, NodeId nodeId, string name, long epoch, string hubAppId, int liveAttempts);

    [LoggerMessage(LogLevel.Information, "Node {NodeId} closed session {Epoch}")]
    private static partial void LogClosed(ILogger logger, NodeId nodeId, long epoch);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId} is lost: it has been silent for too long")]
    private static partial void LogLost(ILogger logger, NodeId nodeId);
}
