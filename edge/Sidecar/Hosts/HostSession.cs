using Npgsql;

namespace RenderTrust.Sidecar.Hosts;

/// <summary>
/// This host's life as an owner of workflow instances or actors: a row with a lease, and an advisory lock held by one connection through which
/// all ownership and all turns are written. When the process dies the lock goes with its connection, so another host need not wait
/// for the lease; a host that hangs loses the lease instead. Each transaction here renews the row and fails without it:
/// whoever takes over deletes the row, so nothing can be written under an ownership that has ended.
/// </summary>
internal sealed class HostSession : IAsyncDisposable
{
    private readonly NpgsqlConnection connection;
    private readonly SessionTable table;
    private readonly TimeProvider time;
    private readonly SemaphoreSlim turn = new(1);
    private long renewedAt;

    private HostSession(NpgsqlConnection connection, SessionTable table, TimeProvider time)
    {
        this.connection = connection;
        this.table = table;
        this.time = time;
    }

    public Guid HostId { get; } = Guid.CreateVersion7();

    /// <summary>The advisory lock that the session's connection holds for as long as it lasts.</summary>
    public long LockId { get; } = Random.Shared.NextInt64();

    /// <summary>False when another host may have taken over already, by our own clock.</summary>
    public bool IsLeaseValid => time.GetElapsedTime(Volatile.Read(ref renewedAt)) < table.Lease;

    public TimeSpan SinceRenewal => time.GetElapsedTime(Volatile.Read(ref renewedAt));

    /// <param name="connection">Not from a pool: it is the session's from here on.</param>
    public static async Task<HostSession> OpenAsync(NpgsqlConnection connection, SessionTable table, TimeProvider time, CancellationToken cancellationToken)
    {
        var session = new HostSession(connection, table, time) { renewedAt = time.GetTimestamp() };
        try
        {
            // The lock before the row: a row without a lock is a dead host's.
            await using var open = new NpgsqlBatch(session.connection)
            {
                BatchCommands =
                {
                    new NpgsqlBatchCommand("SELECT pg_advisory_lock($1)") { Parameters = { new NpgsqlParameter<long> { TypedValue = session.LockId } } },
                    new NpgsqlBatchCommand($"INSERT INTO {table.Hosts} (host_id, lock_id, lease_until) VALUES ($1, $2, now() + $3)")
                    {
                        Parameters =
                        {
                            new NpgsqlParameter<Guid> { TypedValue = session.HostId }, new NpgsqlParameter<long> { TypedValue = session.LockId },
                            new NpgsqlParameter<TimeSpan> { TypedValue = table.Lease },
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
                $"WITH renewed AS (UPDATE {table.Hosts} SET lease_until = now() + $2 WHERE host_id = $1 RETURNING 1) SELECT {table.Expect}((SELECT count(*) FROM renewed), 1)")
            {
                Parameters = { new NpgsqlParameter<Guid> { TypedValue = HostId }, new NpgsqlParameter<TimeSpan> { TypedValue = table.Lease } },
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
    public async Task EndAsync(IEnumerable<NpgsqlBatchCommand> release, CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        try
        {
            await using var batch = new NpgsqlBatch(connection);
            foreach (var command in release)
            {
                batch.BatchCommands.Add(command);
            }

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

/// <param name="Expect">A function that fails its transaction when its two arguments differ.</param>
/// <param name="Lease">How long a host that is not heard of keeps what it owns.</param>
internal sealed record SessionTable(string Hosts, string Expect, TimeSpan Lease);

/// <summary>One command of a transaction. <paramref name="Read"/> is null where it returns no rows.</summary>
internal sealed record Step(NpgsqlBatchCommand Command, Func<NpgsqlDataReader, Task>? Read = null);
