using Npgsql;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>
/// This host's life as an owner of instances: a row with a lease, and an advisory lock held by one connection through which
/// all ownership and all turns are written. When the process dies the lock goes with its connection, so another host need not wait
/// for the lease; a host that hangs loses the lease instead. Each transaction here renews the row and fails without it:
/// whoever takes over deletes the row, so nothing can be written under an ownership that has ended.
/// </summary>
internal sealed class HostSession : IAsyncDisposable
{
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(15);

    private readonly NpgsqlConnection connection;
    private readonly WorkflowSchema schema;
    private readonly TimeProvider time;
    private readonly SemaphoreSlim turn = new(1);
    private long renewedAt;

    private HostSession(NpgsqlConnection connection, WorkflowSchema schema, TimeProvider time)
    {
        this.connection = connection;
        this.schema = schema;
        this.time = time;
    }

    public Guid HostId { get; } = Guid.CreateVersion7();

    /// <summary>False when another host may have taken over already, by our own clock.</summary>
    public bool IsLeaseValid => time.GetElapsedTime(Volatile.Read(ref renewedAt)) < Lease;

    public TimeSpan SinceRenewal => time.GetElapsedTime(Volatile.Read(ref renewedAt));

    public static async Task<HostSession> OpenAsync(WorkflowStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var schema = store.Schema;
        var session = new HostSession(await store.OpenSessionConnectionAsync(cancellationToken), schema, time) { renewedAt = time.GetTimestamp() };
        try
        {
            // The lock before the row: a row without a lock is a dead host's.
            var lockId = Random.Shared.NextInt64();
            await using var open = new NpgsqlBatch(session.connection)
            {
                BatchCommands =
                {
                    new NpgsqlBatchCommand("SELECT pg_advisory_lock($1)") { Parameters = { new NpgsqlParameter<long> { TypedValue = lockId } } },
                    new NpgsqlBatchCommand($"INSERT INTO {schema.Hosts} (host_id, lock_id, lease_until) VALUES ($1, $2, now() + $3)")
                    {
                        Parameters =
                        {
                            new NpgsqlParameter<Guid> { TypedValue = session.HostId }, new NpgsqlParameter<long> { TypedValue = lockId },
                            new NpgsqlParameter<TimeSpan> { TypedValue = Lease },
                        },
                    },
                },
            };
            await open.ExecuteNonQueryAsync(cancellationToken);
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    /// <summary>One transaction, one round trip.</summary>
    public async Task RunAsync(IReadOnlyList<Step> steps, CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        try
        {
            var startedAt = time.GetTimestamp();
            await using var batch = new NpgsqlBatch(connection);
            batch.BatchCommands.Add(new NpgsqlBatchCommand(
                $"WITH renewed AS (UPDATE {schema.Hosts} SET lease_until = now() + $2 WHERE host_id = $1 RETURNING 1) SELECT {schema.Expect}((SELECT count(*) FROM renewed), 1)")
            {
                Parameters = { new NpgsqlParameter<Guid> { TypedValue = HostId }, new NpgsqlParameter<TimeSpan> { TypedValue = Lease } },
            });
            foreach (var step in steps)
            {
                batch.BatchCommands.Add(step.Command);
            }

            // Not the caller's token: once sent, only the database knows what became of it, and we wait for what it says.
            await using (var reader = await batch.ExecuteReaderAsync(CancellationToken.None))
            {
                foreach (var step in steps.Where(step => step.Read is not null))
                {
                    await reader.NextResultAsync(CancellationToken.None);
                    await step.Read!(reader);
                }

                while (await reader.NextResultAsync(CancellationToken.None))
                {
                    // A failure of a later command shows here.
                }
            }

            Volatile.Write(ref renewedAt, startedAt);
        }
        finally
        {
            turn.Release();
        }
    }

    public Task RenewAsync(CancellationToken cancellationToken) => RunAsync([], cancellationToken);

    /// <summary>Orderly end: what this host owned is free at once.</summary>
    public async Task ReleaseAllAsync(CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        try
        {
            await using var batch = new NpgsqlBatch(connection);
            batch.BatchCommands.Add(TakeOver.Command(schema, HostId));
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }
        finally
        {
            turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Not from a pool: the lock ends with the connection.
        await connection.DisposeAsync();
        turn.Dispose();
    }
}

/// <summary>One command of a transaction. <paramref name="Read"/> is null where it returns no rows.</summary>
internal sealed record Step(NpgsqlBatchCommand Command, Func<NpgsqlDataReader, Task>? Read = null);

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
