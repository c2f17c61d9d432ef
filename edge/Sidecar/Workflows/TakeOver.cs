using Npgsql;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Frees what a host owned, together with its row: from then on that host can commit nothing.</summary>
internal static class TakeOver
{
    /// <summary>Hosts whose connection or lease has ended.</summary>
    public static NpgsqlCommand FindDead(WorkflowSchema schema, NpgsqlConnection connection, Guid self) => new(
        $"""
        SELECT host_id FROM {schema.Hosts}
        WHERE host_id <> $1 AND (lease_until < now() OR pg_try_advisory_xact_lock(lock_id))
        FOR UPDATE SKIP LOCKED
        """, connection)
    {
        Parameters = { new NpgsqlParameter<Guid> { TypedValue = self } },
    };

    public static NpgsqlBatchCommand Command(WorkflowSchema schema, Guid hostId) => new(
        $"""
        WITH gone AS (DELETE FROM {schema.Hosts} WHERE host_id = $1)
        UPDATE {schema.Instances} i SET owner = NULL,
            wake_at = CASE WHEN EXISTS (SELECT FROM {schema.Inbox} x WHERE x.key = i.key) THEN '-infinity' ELSE i.wake_at END
        WHERE i.owner = $1
        """)
    {
        Parameters = { new NpgsqlParameter<Guid> { TypedValue = hostId } },
    };
}
