using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Attempts;

internal enum AttemptStatus
{
    /// <summary>Leased; the node has not acknowledged.</summary>
    Offered,
    Running,

    /// <summary>The token is void; the slot stays reserved until the node confirms that it stopped.</summary>
    Revoking,

    /// <summary>The node fell silent; the slot stays reserved until the node is seen.</summary>
    Lost,
    Completed,
    Failed,
    Refused,

    /// <summary>The offer never reached the node.</summary>
    Undelivered,
    Revoked,
}

/// <summary>One attempt with what its node says of itself.</summary>
internal sealed record Attempt(
    AttemptId AttemptId, JobId JobId, int UnitIndex, int Number, NodeId NodeId, string NodeName, TenantId NodeOwner, int Slot,
    long Epoch, string HubAppId, long FencingToken, AttemptStatus Status, DateTimeOffset ReadyAt, DateTimeOffset LeasedAt, double? Progress)
{
    public bool TokenIsCurrent => Status is AttemptStatus.Offered or AttemptStatus.Running;

    private const string Columns =
        """
        a.attempt_id, a.job_id, a.unit_index, a.number, a.node_id, n.name, n.owner_tenant_id, a.slot,
        a.epoch, a.hub_app_id, a.fencing_token, a.status, a.ready_at, a.leased_at, a.progress
        """;

    /// <summary>
    /// Locks the attempt's job and reads both as they are under the lock. Two statements, because a statement that waited for a lock
    /// still sees other rows as they were before the wait.
    /// </summary>
    public static async Task<(Job Job, Attempt Attempt)?> LockAsync(NpgsqlConnection connection, AttemptId attemptId, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.Add(
            $"SELECT {Job.Columns} FROM jobs WHERE job_id = (SELECT job_id FROM attempts WHERE attempt_id = $1) FOR NO KEY UPDATE", attemptId.Value);
        batch.Add($"SELECT {Columns} FROM attempts a JOIN nodes n USING (node_id) WHERE a.attempt_id = $1", attemptId.Value);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        var job = Job.Read(reader);
        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (job, Read(reader));
    }

    private static Attempt Read(NpgsqlDataReader reader) => new(
        new(reader.GetGuid(0)), new(reader.GetGuid(1)), reader.GetInt32(2), reader.GetInt32(3), new(reader.GetGuid(4)), reader.GetString(5), new(reader.GetGuid(6)),
        reader.GetInt32(7), reader.GetInt64(8), reader.GetString(9), reader.GetInt64(10), SqlNames.Parse<AttemptStatus>(reader.GetString(11)),
        reader.Instant(12), reader.Instant(13), reader.Double(14));
}
