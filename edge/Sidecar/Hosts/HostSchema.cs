using Npgsql;
using RenderTrust.Sidecar.Workflows;

namespace RenderTrust.Sidecar.Hosts;

/// <summary>The tables through which hosts on one database know each other and divide the actors among them, beside the actor state.</summary>
internal sealed class HostSchema(string tablePrefix)
{
    /// <summary>How long actors of a host that hangs stay without one. A killed host's connections end at once, and its lease with them.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(6);

    public string Hosts => tablePrefix + "rendertrust_hosts";
    public string Apps => tablePrefix + "rendertrust_host_apps";
    public string Slots => tablePrefix + "rendertrust_actor_slots";

    public SessionTable Session => new(Hosts, Expect, Lease);

    /// <summary>The workflow tables come first, and bring it.</summary>
    public string Expect { get; } = new WorkflowSchema(tablePrefix).Expect;

    public async Task CreateAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        foreach (var sql in (string[])
        [
            // Several hosts may start at once; CREATE IF NOT EXISTS alone races.
            $"SELECT pg_advisory_xact_lock(hashtextextended('{Slots}', 0))",
            $"""
            CREATE TABLE IF NOT EXISTS {Hosts} (
                host_id uuid PRIMARY KEY,
                lock_id bigint NOT NULL,
                lease_until timestamptz NOT NULL,
                started_at timestamptz NOT NULL DEFAULT now(),
                address text,
                secret text
            );
            CREATE TABLE IF NOT EXISTS {Apps} (
                host_id uuid NOT NULL REFERENCES {Hosts} ON DELETE CASCADE,
                app_id text NOT NULL,
                is_ready boolean NOT NULL,
                actor_types text[] NOT NULL,
                PRIMARY KEY (host_id, app_id)
            );
            CREATE TABLE IF NOT EXISTS {Slots} (
                actor_type text NOT NULL,
                slot smallint NOT NULL,
                host_id uuid,
                token bigint NOT NULL,
                PRIMARY KEY (actor_type, slot)
            )
            """,
        ])
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Only one host at a time changes who owns what; it takes milliseconds.</summary>
    public NpgsqlBatchCommand OneAtATime() => new($"SELECT pg_advisory_xact_lock(hashtextextended('{Slots}', 0))");

    public IEnumerable<NpgsqlBatchCommand> Publish(Guid self, PeerAddress address, IReadOnlyList<PublishedApp> apps)
    {
        yield return With($"UPDATE {Hosts} SET address = $2, secret = $3 WHERE host_id = $1", self, address.Address, address.Secret);
        yield return With($"DELETE FROM {Apps} WHERE host_id = $1", self);
        foreach (var app in apps)
        {
            yield return With($"INSERT INTO {Apps} (host_id, app_id, is_ready, actor_types) VALUES ($1, $2, $3, $4)", self, app.AppId, app.IsReady, app.ActorTypes.ToArray());
        }
    }

    /// <summary>
    /// Frees what hosts owned whose connection has ended. Having both locks proves that: neither is the host connected, nor is a
    /// write of one of its turns still on its way to be committed.
    /// </summary>
    public NpgsqlBatchCommand TakeOver(Guid self) => With(
        $"""
        WITH dead AS (
            SELECT host_id FROM {Hosts}
            WHERE host_id <> $1 AND pg_try_advisory_xact_lock(lock_id) AND pg_try_advisory_xact_lock(lock_id + 1)
            FOR UPDATE SKIP LOCKED),
        gone AS (DELETE FROM {Hosts} WHERE host_id IN (SELECT host_id FROM dead))
        UPDATE {Slots} SET host_id = NULL WHERE host_id IN (SELECT host_id FROM dead)
        """, self);

    /// <summary>Ends the connections of hosts that hang: they lose their locks, and the next look finds them dead.</summary>
    public NpgsqlBatchCommand CutOff(Guid self) => With(
        $"""
        SELECT pg_terminate_backend(l.pid) FROM {Hosts} h
        JOIN pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) IN (h.lock_id, h.lock_id + 1)
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        WHERE h.host_id <> $1 AND h.lease_until < now() AND l.pid <> pg_backend_pid()
        """, self);

    /// <summary>Takes those of the slots that are still nobody's.</summary>
    public NpgsqlBatchCommand Claim(Guid self, string type, short[] slots) => With(
        $"""
        INSERT INTO {Slots} AS s (actor_type, slot, host_id, token) SELECT $2, slot, $1, 1 FROM unnest($3) slot
        ON CONFLICT (actor_type, slot) DO UPDATE SET host_id = EXCLUDED.host_id, token = s.token + 1 WHERE s.host_id IS NULL
        """, self, type, slots);

    /// <summary>Waits for writes of turns that outlived their drain: the next owner must read what they have written.</summary>
    public NpgsqlBatchCommand NoWrites(long lockId) => With("SELECT pg_advisory_xact_lock($1)", lockId + 1);

    /// <summary>After <see cref="NoWrites"/>.</summary>
    public NpgsqlBatchCommand HandOver(Guid self, string type, short[] slots) =>
        With($"UPDATE {Slots} SET host_id = NULL WHERE host_id = $1 AND actor_type = $2 AND slot = ANY($3)", self, type, slots);

    /// <summary>Orderly end: everything is free at once.</summary>
    public IEnumerable<NpgsqlBatchCommand> End(Guid self, long lockId) =>
    [
        OneAtATime(),
        NoWrites(lockId),
        With($"UPDATE {Slots} SET host_id = NULL WHERE host_id = $1", self),
        With($"DELETE FROM {Hosts} WHERE host_id = $1", self),
    ];

    /// <summary>What a write of an actor's state begins with. It fails unless the slot is still ours, and as long as it lasts nobody takes it over.</summary>
    public IEnumerable<NpgsqlBatchCommand> Fence(Hold hold) =>
    [
        With("SELECT pg_advisory_xact_lock_shared($1)", hold.LockId + 1),
        With($"SELECT {Expect}((SELECT count(*) FROM {Slots} WHERE actor_type = $1 AND slot = $2 AND host_id = $3 AND token = $4), 1)",
            hold.Type, hold.Slot, hold.HostId, hold.Token),
    ];

    public NpgsqlBatchCommand ReadHosts() => new($"SELECT host_id, address, secret, lease_until < now() FROM {Hosts}");

    public NpgsqlBatchCommand ReadApps() => new($"SELECT host_id, app_id, is_ready, actor_types FROM {Apps}");

    public NpgsqlBatchCommand ReadSlots() => new($"SELECT actor_type, slot, host_id, token FROM {Slots} WHERE host_id IS NOT NULL");

    private static NpgsqlBatchCommand With(string sql, params object[] values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return command;
    }
}

/// <summary>An app of a host, as other hosts see it.</summary>
internal sealed record PublishedApp(string AppId, bool IsReady, IReadOnlyList<string> ActorTypes);
