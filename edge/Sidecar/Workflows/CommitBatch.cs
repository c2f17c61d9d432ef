using System.Text;
using Google.Protobuf;
using Npgsql;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>An instance to insert. What a child's parent hears when the id is in use travels with it.</summary>
internal sealed record FreshInstance(InstanceRecord Record, bool IsOwned, bool OnlyUnusedId, Message? Refusal);

/// <summary>The row of an instance after a turn. A null start keeps the one it has.</summary>
internal sealed record ChangedInstance(InstanceRecord After, bool KeepsOwner, DateTimeOffset? WakeAt, bool HasNewStart);

/// <summary>What a message from outside met: whose instance it is, and whether it could be told.</summary>
internal sealed record MessageFate(Guid Key, Guid? Owner, bool IsTerminal, bool IsStalled);

/// <summary>Collects the writes of many turns and requests into one transaction of a few set-based commands.</summary>
internal sealed class CommitBatch(WorkflowSchema schema, Guid hostId)
{
    private readonly List<FreshInstance> fresh = [];
    private readonly List<ChangedInstance> changed = [];
    private readonly List<(Guid Key, long Version, byte[] Events)> history = [];
    private readonly List<Guid> historyGone = [];
    private readonly List<(Guid Key, Guid MessageId)> inboxTaken = [];
    private readonly List<Guid> inboxGone = [];
    private readonly OrderedDictionary<Message, Guid> own = [];
    private readonly List<(Outgoing Outgoing, bool RefuseStalled)> foreign = [];
    private readonly List<(Guid ParentKey, HistoryEvent Terminated)> childrenTerminated = [];
    private readonly List<Guid> released = [];

    public int Bytes { get; private set; }

    /// <summary>Known after the commit: keys of the instances that could be inserted.</summary>
    public HashSet<Guid> Inserted { get; } = [];

    /// <summary>Known after the commit: refusals that their parents were told.</summary>
    public HashSet<Guid> Refused { get; } = [];

    /// <summary>Known after the commit: by message id; absent where there is no such instance.</summary>
    public Dictionary<Guid, MessageFate> Fates { get; } = [];

    public void Insert(FreshInstance instance) => fresh.Add(instance);

    public void Change(ChangedInstance instance) => changed.Add(instance);

    public void Append(Guid key, long version, byte[] events)
    {
        Bytes += events.Length;
        history.Add((key, version, events));
    }

    public void ForgetHistory(Guid key) => historyGone.Add(key);

    public void Take(Guid key, Guid messageId) => inboxTaken.Add((key, messageId));

    public void ClearInbox(Guid key) => inboxGone.Add(key);

    /// <summary>To an instance that this host owns and has in memory.</summary>
    public void Store(Guid key, Message message)
    {
        Bytes += message.Size;
        own.Add(message, key);
    }

    /// <summary>A turn in this very transaction takes the message, so its row would be written only to be removed.</summary>
    public void Unstore(Message message) => own.Remove(message);

    public bool HasStored(Message message) => own.ContainsKey(message);

    public void Send(Outgoing outgoing, bool refuseStalled)
    {
        Bytes += outgoing.Message.Size;
        foreign.Add((outgoing, refuseStalled));
    }

    public void TerminateChildren(Guid parentKey, HistoryEvent terminated) => childrenTerminated.Add((parentKey, terminated));

    public void Release(Guid key) => released.Add(key);

    public IReadOnlyList<Step> Steps()
    {
        var steps = new List<Step>();
        AddFresh(steps);
        AddChanged(steps);
        AddHistory(steps);
        AddInbox(steps);
        AddMessages(steps);
        if (released.Count > 0)
        {
            steps.Add(new Step(Command(
                $"""
                UPDATE {schema.Instances} i SET owner = NULL,
                    wake_at = CASE WHEN EXISTS (SELECT FROM {schema.Inbox} x WHERE x.key = i.key) THEN '-infinity' ELSE i.wake_at END
                WHERE i.key = ANY($1) AND i.owner = $2
                """, Array(released.Order()), One(hostId))));
        }

        return steps;
    }

    private void AddFresh(List<Step> steps)
    {
        if (fresh.Count == 0)
        {
            return;
        }

        // An id whose instance has ended, with all its descendants, may be used again.
        var reusable = fresh.Where(instance => !instance.OnlyUnusedId).ToList();
        if (reusable.Count > 0)
        {
            steps.Add(new Step(Command(
                $"""
                WITH gone AS (
                    DELETE FROM {schema.Instances} i USING unnest($1::text[], $2::text[]) AS f(app_id, instance_id)
                    WHERE i.app_id = f.app_id AND i.instance_id = f.instance_id AND i.completed IS NOT NULL AND NOT EXISTS (
                        WITH RECURSIVE tree AS (
                            SELECT c.key, c.completed FROM {schema.Instances} c WHERE c.parent_key = i.key
                            UNION ALL
                            SELECT c.key, c.completed FROM {schema.Instances} c JOIN tree t ON c.parent_key = t.key)
                        SELECT FROM tree WHERE completed IS NULL)
                    RETURNING i.key),
                history AS (DELETE FROM {schema.History} h USING gone g WHERE h.key = g.key)
                DELETE FROM {schema.Inbox} x USING gone g WHERE x.key = g.key
                """,
                Array(reusable.Select(instance => instance.Record.Address.AppId)), Array(reusable.Select(instance => instance.Record.Address.InstanceId)))));
        }

        steps.Add(new Step(Command(
            $"""
            INSERT INTO {schema.Instances} (key, app_id, instance_id, status, owner, wake_at, start, propagated, parent_key, parent_generation, parent_task,
                created_at, updated_at, scheduled_at)
            SELECT f.key, f.app_id, f.instance_id, f.status, CASE WHEN f.is_owned THEN $1 END, coalesce(f.scheduled_at, '-infinity'), f.start, f.propagated,
                f.parent_key, f.parent_generation, f.parent_task, f.created_at, f.created_at, f.scheduled_at
            FROM unnest($2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::boolean[], $7::bytea[], $8::bytea[], $9::uuid[], $10::bigint[], $11::int[],
                $12::timestamptz[], $13::timestamptz[])
                AS f(key, app_id, instance_id, status, is_owned, start, propagated, parent_key, parent_generation, parent_task, created_at, scheduled_at)
            ON CONFLICT (app_id, instance_id) DO NOTHING
            RETURNING key
            """,
            One(hostId), Array(fresh.Select(f => f.Record.Key)), Array(fresh.Select(f => f.Record.Address.AppId)), Array(fresh.Select(f => f.Record.Address.InstanceId)),
            Array(fresh.Select(f => (short)f.Record.Status)), Array(fresh.Select(f => f.IsOwned)), Array(fresh.Select(f => Counted(Wire.Write(f.Record.Start)))),
            Array(fresh.Select(f => f.Record.Propagated)), Array(fresh.Select(f => f.Record.Parent?.Key)), Array(fresh.Select(f => f.Record.Parent?.Generation)),
            Array(fresh.Select(f => f.Record.Parent?.Task)), Array(fresh.Select(f => f.Record.CreatedAt)), Array(fresh.Select(f => f.Record.ScheduledAt))),
            reader => CollectAsync(reader, Inserted)));

        var children = fresh.Where(instance => instance.Refusal is not null).ToList();
        if (children.Count > 0)
        {
            steps.Add(new Step(Command(
                $"""
                INSERT INTO {schema.Inbox} (key, message_id, generation, is_foreign, event)
                SELECT f.parent_key, f.message_id, f.generation, false, f.event
                FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::bytea[])
                    AS f(key, app_id, instance_id, parent_key, message_id, generation, event)
                JOIN {schema.Instances} i ON i.app_id = f.app_id AND i.instance_id = f.instance_id AND i.key <> f.key
                RETURNING message_id
                """,
                Array(children.Select(f => f.Record.Key)), Array(children.Select(f => f.Record.Address.AppId)), Array(children.Select(f => f.Record.Address.InstanceId)),
                Array(children.Select(f => f.Record.Parent!.Key)), Array(children.Select(f => f.Refusal!.Id)), Array(children.Select(f => f.Refusal!.Generation)),
                Array(children.Select(f => f.Refusal!.Event.ToByteArray()))),
                reader => CollectAsync(reader, Refused)));
        }
    }

    private void AddChanged(List<Step> steps)
    {
        if (changed.Count == 0)
        {
            return;
        }

        // In the order of the keys: two hosts that lock the same rows must not wait for each other.
        changed.Sort((a, b) => a.After.Key.CompareTo(b.After.Key));
        var rows = changed.ConvertAll(change => change.After);
        steps.Add(new Step(Command(
            $"""
            WITH done AS (
                UPDATE {schema.Instances} i SET version = c.version, status = c.status, generation = c.generation,
                    owner = CASE WHEN c.keeps_owner THEN i.owner END, wake_at = c.wake_at, start = coalesce(c.start, i.start), completed = c.completed,
                    stalled = c.stalled, custom_status = c.custom_status, updated_at = c.updated_at, started_at = c.started_at, completed_at = c.completed_at
                FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::boolean[], $6::timestamptz[], $7::bytea[], $8::bytea[], $9::bytea[],
                    $10::bytea[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
                    AS c(key, version, status, generation, keeps_owner, wake_at, start, completed, stalled, custom_status, updated_at, started_at, completed_at)
                WHERE i.key = c.key AND i.owner = $14 AND i.version = c.version - 1
                RETURNING 1)
            SELECT {schema.Expect}((SELECT count(*) FROM done), $15)
            """,
            Array(rows.Select(r => r.Key)), Array(rows.Select(r => r.Version)), Array(rows.Select(r => (short)r.Status)), Array(rows.Select(r => r.Generation)),
            Array(changed.Select(c => c.KeepsOwner)), Array(changed.Select(c => c.WakeAt)), Array(changed.Select(c => c.HasNewStart ? Counted(Wire.Write(c.After.Start)) : null)),
            Array(rows.Select(r => r.Completed?.ToByteArray())), Array(rows.Select(r => r.Stalled?.ToByteArray())),
            Array(rows.Select(r => r.CustomStatus is { } text ? Encoding.UTF8.GetBytes(text) : null)), Array(rows.Select(r => r.UpdatedAt)),
            Array(rows.Select(r => r.StartedAt)), Array(rows.Select(r => r.CompletedAt)), One(hostId), One((long)rows.Count)),
            static _ => Task.CompletedTask));
    }

    private void AddHistory(List<Step> steps)
    {
        if (historyGone.Count > 0)
        {
            steps.Add(new Step(Command($"DELETE FROM {schema.History} WHERE key = ANY($1)", Array(historyGone))));
        }

        if (history.Count > 0)
        {
            steps.Add(new Step(Command(
                $"INSERT INTO {schema.History} (key, version, events) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[])",
                Array(history.Select(h => h.Key)), Array(history.Select(h => h.Version)), Array(history.Select(h => h.Events)))));
        }
    }

    private void AddInbox(List<Step> steps)
    {
        if (inboxTaken.Count > 0)
        {
            steps.Add(new Step(Command(
                $"DELETE FROM {schema.Inbox} x USING unnest($1::uuid[], $2::uuid[]) AS t(key, message_id) WHERE x.key = t.key AND x.message_id = t.message_id",
                Array(inboxTaken.Select(t => t.Key)), Array(inboxTaken.Select(t => t.MessageId)))));
        }

        if (inboxGone.Count > 0)
        {
            steps.Add(new Step(Command($"DELETE FROM {schema.Inbox} WHERE key = ANY($1)", Array(inboxGone))));
        }
    }

    private void AddMessages(List<Step> steps)
    {
        if (own.Count > 0)
        {
            steps.Add(new Step(Command(
                $"""
                WITH done AS (
                    INSERT INTO {schema.Inbox} (key, message_id, generation, is_foreign, event)
                    SELECT i.key, m.message_id, m.generation, false, m.event
                    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS m(key, message_id, generation, event, n)
                    JOIN {schema.Instances} i ON i.key = m.key AND i.owner = $5
                    ORDER BY m.n
                    RETURNING 1)
                SELECT {schema.Expect}((SELECT count(*) FROM done), $6)
                """,
                Array(own.Values), Array(own.Keys.Select(m => m.Id)), Array(own.Keys.Select(m => m.Generation)),
                Array(own.Keys.Select(m => m.Event.ToByteArray())), One(hostId), One((long)own.Count)),
                static _ => Task.CompletedTask));
        }

        if (foreign.Count > 0)
        {
            steps.Add(new Step(Command(
                $"""
                WITH target AS (
                    SELECT m.message_id, m.generation, m.event, m.n, i.key, i.owner, i.completed IS NOT NULL AS is_terminal, i.stalled IS NOT NULL AS is_stalled,
                        i.completed IS NULL AND (m.generation IS NULL OR m.generation = i.generation) AND NOT (m.refuse_stalled AND i.stalled IS NOT NULL) AS is_told
                    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bytea[], $7::boolean[]) WITH ORDINALITY
                        AS m(app_id, instance_id, key, message_id, generation, event, refuse_stalled, n)
                    JOIN {schema.Instances} i ON i.app_id = m.app_id AND i.instance_id = m.instance_id AND (m.key IS NULL OR i.key = m.key)),
                told AS (
                    INSERT INTO {schema.Inbox} (key, message_id, generation, is_foreign, event)
                    SELECT key, message_id, generation, true, event FROM target WHERE is_told ORDER BY n),
                woken AS (
                    UPDATE {schema.Instances} i SET has_mail = true, wake_at = '-infinity' WHERE i.key IN (SELECT key FROM target WHERE is_told))
                SELECT message_id, key, owner, is_terminal, is_stalled FROM target
                """,
                Array(foreign.Select(m => m.Outgoing.Target.AppId)), Array(foreign.Select(m => m.Outgoing.Target.InstanceId)), Array(foreign.Select(m => m.Outgoing.TargetKey)),
                Array(foreign.Select(m => m.Outgoing.Message.Id)), Array(foreign.Select(m => m.Outgoing.Message.Generation)),
                Array(foreign.Select(m => m.Outgoing.Message.Event.ToByteArray())), Array(foreign.Select(m => m.RefuseStalled))),
                ReadFatesAsync));
        }

        foreach (var (parentKey, terminated) in childrenTerminated)
        {
            steps.Add(new Step(Command(
                $"""
                WITH child AS (SELECT key FROM {schema.Instances} WHERE parent_key = $1 AND completed IS NULL ORDER BY key FOR UPDATE),
                told AS (
                    INSERT INTO {schema.Inbox} (key, message_id, is_foreign, event) SELECT key, gen_random_uuid(), true, $2 FROM child)
                UPDATE {schema.Instances} i SET has_mail = true, wake_at = '-infinity' FROM child c WHERE i.key = c.key
                """, One(parentKey), One(terminated.ToByteArray()))));
        }
    }

    private async Task ReadFatesAsync(NpgsqlDataReader reader)
    {
        while (await reader.ReadAsync())
        {
            Fates[reader.GetGuid(0)] = new MessageFate(
                reader.GetGuid(1), await reader.GetFieldValueAsync<Guid?>(2), reader.GetBoolean(3), reader.GetBoolean(4));
        }
    }

    private static async Task CollectAsync(NpgsqlDataReader reader, HashSet<Guid> ids)
    {
        while (await reader.ReadAsync())
        {
            ids.Add(reader.GetGuid(0));
        }
    }

    private byte[] Counted(byte[] bytes)
    {
        Bytes += bytes.Length;
        return bytes;
    }

    private static NpgsqlBatchCommand Command(string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        return command;
    }

    private static NpgsqlParameter<T> One<T>(T value) => new() { TypedValue = value };

    private static NpgsqlParameter<T[]> Array<T>(IEnumerable<T> values) => new() { TypedValue = [.. values] };
}
