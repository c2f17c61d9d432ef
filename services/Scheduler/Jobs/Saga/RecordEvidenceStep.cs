using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.Postgres;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// What became of the job, its money, and who held which part of it when, for the evidence log. In pages, since one message must stay small
/// whatever the number of units. The saga's row says whether it is recorded; the ids of the messages follow from the job and the page, so even a
/// message that was sent before is known again. Nothing to undo: evidence is only ever added.
/// </summary>
internal sealed class RecordEvidenceStep(NpgsqlDataSource dataSource, Outbox outbox, TimeProvider time) : ISagaStep
{
    private const int UnitsPerPage = 500;

    public SagaStepName Name => SagaStepName.RecordEvidence;

    public async Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Job.LockAsync(connection, call.JobId, cancellationToken) is not { HasEnded: true } job)
        {
            throw new InvalidOperationException($"Job {call.JobId} has not ended; its evidence would not be final.");
        }

        await using (var mark = connection.Command("UPDATE sagas SET done_at = $2 WHERE job_id = $1 AND done_at IS NULL", job.JobId.Value, now))
        {
            if (await mark.ExecuteNonQueryAsync(cancellationToken) == 0)
            {
                return StepOutcome.AlreadyDone;
            }
        }

        await using var batch = new NpgsqlBatch(connection, transaction);
        AddEnd(batch, job, now);
        AddCustody(batch, job, now);
        SagaSignals.AllHeard(batch, job.JobId);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        Failpoint.Hit("saga.evidence.beforeCommit");
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("saga.evidence.afterCommit");
        outbox.Wake();
        return StepOutcome.Done;
    }

    public Task UndoAsync(StepCall call, CancellationToken cancellationToken) => Task.CompletedTask;

    private static void AddEnd(NpgsqlBatch batch, Job job, DateTimeOffset now) =>
        batch.Add(
            """
            INSERT INTO outbox (message_id, component, topic, trace_parent, trace_state, payload)
            SELECT $2, $3, $4, $6, $7, jsonb_build_object(
                'factId', $2, 'kind', 'scheduler.jobEnded', 'at', $5, 'tenantId', j.tenant_id, 'subject', j.task_id, 'facts', jsonb_build_object(
                    'jobId', j.client_job_id, 'module', j.module_name || '@' || j.module_version, 'manifestSha256', j.manifest_sha256,
                    'status', j.status, 'unitCount', j.unit_count, 'unitsCompleted', j.units_completed, 'unitsFailed', j.units_failed,
                    'meteredMilliseconds', j.metered_ms, 'submittedAt', j.submitted_at, 'endedAt', j.ended_at,
                    'heldMicrocredits', m.held, 'chargedMicrocredits', m.captured, 'releasedMicrocredits', m.released,
                    'nodeMicrocredits', m.node, 'developerMicrocredits', m.developer, 'platformMicrocredits', m.platform))
            FROM jobs j CROSS JOIN LATERAL ledger.hold_money_v1(j.job_id) m WHERE j.job_id = $1
            ON CONFLICT (message_id) DO NOTHING
            """,
            job.JobId.Value, EffectIds.Of($"{job.JobId}/evidence/end"), Topics.PubSub, Topics.Evidence, now,
            new TypedValue(OutboxTrace.CurrentParent, NpgsqlDbType.Text), new TypedValue(OutboxTrace.CurrentState, NpgsqlDbType.Text));

    private static void AddCustody(NpgsqlBatch batch, Job job, DateTimeOffset now)
    {
        var pages = (job.UnitCount + UnitsPerPage - 1) / UnitsPerPage;
        batch.Add(
            $"""
            WITH outputs AS (
                SELECT (e.body ->> 'attemptId')::uuid AS attempt_id, jsonb_agg(jsonb_build_object(
                    'assetId', o -> 'assetId', 'blobSha256', o -> 'blobSha256', 'sizeBytes', o -> 'sizeBytes', 'keyedHash', o -> 'keyedHash')) AS list
                FROM job_events e CROSS JOIN LATERAL jsonb_array_elements(e.body -> 'outputs') o
                WHERE e.job_id = $1 AND e.kind = 'unitCompleted' GROUP BY 1),
            pages AS (
                SELECT a.unit_index / {UnitsPerPage} AS page, jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                    'unitIndex', a.unit_index, 'attemptId', a.attempt_id, 'number', a.number, 'nodeId', a.node_id, 'ownerTenantId', n.owner_tenant_id,
                    'recipientKeyId', n.recipient_key_id, 'fencingToken', a.fencing_token, 'status', a.status, 'failureClass', a.failure_class,
                    'leasedAt', a.leased_at, 'endedAt', a.ended_at, 'meteredMilliseconds', a.metered_ms,
                    'chargedMicrocredits', a.charge_microcredits, 'outputs', o.list)) ORDER BY a.unit_index, a.number) AS attempts
                FROM attempts a JOIN nodes n USING (node_id) LEFT JOIN outputs o USING (attempt_id) WHERE a.job_id = $1 GROUP BY 1)
            INSERT INTO outbox (message_id, component, topic, trace_parent, trace_state, payload)
            SELECT i.message_id, $3, $4, $6, $7, jsonb_build_object(
                'factId', i.message_id, 'kind', 'scheduler.jobCustody', 'at', $5, 'tenantId', j.tenant_id, 'subject', j.task_id,
                'facts', jsonb_build_object('jobId', j.client_job_id, 'page', p.page, 'attempts', p.attempts))
            FROM pages p JOIN unnest($2::uuid[]) WITH ORDINALITY AS i (message_id, number) ON i.number = p.page + 1 JOIN jobs j ON j.job_id = $1
            ORDER BY p.page
            ON CONFLICT (message_id) DO NOTHING
            """,
            job.JobId.Value, Enumerable.Range(0, pages).Select(page => EffectIds.Of($"{job.JobId}/evidence/custody/{page}")).ToArray(),
            Topics.PubSub, Topics.Evidence, now,
            new TypedValue(OutboxTrace.CurrentParent, NpgsqlDbType.Text), new TypedValue(OutboxTrace.CurrentState, NpgsqlDbType.Text));
    }
}
