using System.Text.Json;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Actors;

/// <summary>
/// Reminders in any state store: all of an app as one value, which each change replaces if nobody else has meanwhile. Meant for
/// hundreds, not for hundreds of thousands; those belong in Postgres.
/// </summary>
internal sealed class StateReminderStore(IStateStore store) : IReminderStore
{
    // Each attempt that fails means that another one came through; so many in a row means that something else is wrong.
    private const int AttemptsMax = 100;

    public Task<bool> SaveAsync(string appId, ActorCallback callback, ActorSchedule schedule, bool overwrite, CancellationToken cancellationToken) =>
        ChangeAsync(appId, rows =>
        {
            var at = rows.FindIndex(row => row.IsOf(callback.Actor.Type, callback.Actor.Id, callback.Name));
            if (at >= 0 && !overwrite)
            {
                return (false, false);
            }

            var row = new Row(
                callback.Actor.Type, callback.Actor.Id, callback.Name, callback.DueTime, callback.Period, callback.Ttl, callback.Data,
                schedule.FirstAt, schedule.Period, schedule.Repeats, schedule.ExpiresAt, 0, Guid.CreateVersion7(), callback.OnFailure.Interval, callback.OnFailure.RetriesMax);
            if (at >= 0)
            {
                rows[at] = row;
            }
            else
            {
                rows.Add(row);
            }

            return (true, true);
        }, cancellationToken);

    public async Task<IReadOnlyList<StoredReminder>> FindAsync(string appId, string type, string? actorId, string? name, CancellationToken cancellationToken) =>
        [.. (await ReadAsync(appId, cancellationToken)).Rows
            .Where(row => row.IsOf(type, actorId, name))
            .OrderBy(row => row.Id, StringComparer.Ordinal).ThenBy(row => row.Name, StringComparer.Ordinal)
            .Select(row => new StoredReminder(row.ToCallback(), row.ExpiresAt))];

    public Task DeleteAsync(string appId, string type, string? actorId, string? name, CancellationToken cancellationToken) =>
        ChangeAsync(appId, rows => (rows.RemoveAll(row => row.IsOf(type, actorId, name)) > 0, true), cancellationToken);

    public async Task<IReadOnlyList<Reminder>> TakeDueAsync(
        IReadOnlyList<(string AppId, string Type)> hosted, DateTimeOffset now, int countMax, CancellationToken cancellationToken)
    {
        var taken = new List<Reminder>();
        foreach (var app in hosted.GroupBy(entry => entry.AppId, entry => entry.Type))
        {
            var left = countMax - taken.Count;
            taken.AddRange(await ChangeAsync(app.Key, rows =>
            {
                var due = rows.Where(row => row.NextAt <= now && app.Contains(row.Type)).OrderBy(row => row.NextAt).Take(left).ToList();
                foreach (var row in due)
                {
                    rows[rows.IndexOf(row)] = row with { NextAt = now + IReminderStore.Lease };
                }

                return (due.Count > 0, due.ConvertAll(row => row.ToReminder(app.Key)));
            }, cancellationToken));
        }

        return taken;
    }

    public async Task<DateTimeOffset?> NextDueAsync(IReadOnlyList<(string AppId, string Type)> hosted, CancellationToken cancellationToken)
    {
        DateTimeOffset? next = null;
        foreach (var app in hosted.GroupBy(entry => entry.AppId, entry => entry.Type))
        {
            var (rows, _) = await ReadAsync(app.Key, cancellationToken);
            var first = rows.Where(row => app.Contains(row.Type)).Min(row => (DateTimeOffset?)row.NextAt);
            next = next is null || first < next ? first ?? next : next;
        }

        return next;
    }

    public Task FinishAsync(Reminder reminder, DateTimeOffset? next, int? repeatsLeft, int failures, CancellationToken cancellationToken) =>
        ChangeAsync(reminder.AppId, rows =>
        {
            var at = rows.FindIndex(row => row.Version == reminder.Version);
            if (at < 0)
            {
                return (false, false);
            }

            if (next is { } moment)
            {
                rows[at] = rows[at] with { NextAt = moment, RepeatsLeft = repeatsLeft, Failures = failures };
            }
            else
            {
                rows.RemoveAt(at);
            }

            return (true, true);
        }, cancellationToken);

    // No key of a service or an actor has exactly two separators.
    private static string Key(string appId) => $"{appId}||rendertrust||reminders";

    private async Task<(List<Row> Rows, string? Etag)> ReadAsync(string appId, CancellationToken cancellationToken)
    {
        var entry = (await store.GetAsync([Key(appId)], cancellationToken))[0];
        var rows = entry is null ? null : JsonSerializer.Deserialize<List<Row>>(entry.Value.Span);
        return (rows ?? [], entry?.Etag);
    }

    private async Task<T> ChangeAsync<T>(string appId, Func<List<Row>, (bool IsChanged, T Answer)> change, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var (rows, etag) = await ReadAsync(appId, cancellationToken);
            var (isChanged, answer) = change(rows);
            if (!isChanged)
            {
                return answer;
            }

            var write = new StateWrite(Key(appId), JsonSerializer.SerializeToUtf8Bytes(rows), etag, FirstWrite: true) { NeverExpires = true, IsJson = true };
            if (await store.WriteAsync(write, cancellationToken) == StateOutcome.Done)
            {
                return answer;
            }
        }

        throw new TimeoutException($"the reminders of {appId} were changed by others {AttemptsMax} times in a row; let fewer hosts share them, or keep them in Postgres");
    }

    private sealed record Row(
        string Type, string Id, string Name, string DueTime, string Period, string? Ttl, byte[]? Data,
        DateTimeOffset NextAt, TimeSpan? Every, int? RepeatsLeft, DateTimeOffset? ExpiresAt, int Failures, Guid Version, TimeSpan RetryInterval, int? RetriesMax)
    {
        public bool IsOf(string type, string? id, string? name) => Type == type && (id is null || Id == id) && (name is null || Name == name);

        public ActorCallback ToCallback() => new(new ActorKey(Type, Id), Name, DueTime, Period, null, Data, Ttl) { OnFailure = new FailurePolicy(RetryInterval, RetriesMax) };

        public Reminder ToReminder(string appId) => new(appId, ToCallback(), NextAt, Every, RepeatsLeft, ExpiresAt, Failures, Version);
    }
}
