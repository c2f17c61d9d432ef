using System.Globalization;

namespace RenderTrust.Sidecar.State;

/// <summary>state.in-memory: gone with the host. One lock is enough: every operation is a few dictionary steps.</summary>
internal sealed class InMemoryStateStore(TimeProvider time) : IStateStore
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, StateEntry> entries = [];
    private long version;
    private long writesSinceSweep;

    public Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            return Task.FromResult<IReadOnlyList<StateEntry?>>([.. keys.Select(FindLive)]);
        }
    }

    public Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken) =>
        TransactAsync([write], cancellationToken);

    public Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            var undo = new List<(string Key, StateEntry? Before)>(writes.Count);
            foreach (var write in writes)
            {
                var before = FindLive(write.Key);
                var outcome = Check(write, before);
                if (outcome != StateOutcome.Done)
                {
                    Undo(undo);
                    return Task.FromResult(outcome);
                }

                undo.Add((write.Key, before));
                Apply(write);
            }

            SweepSometimes();
            return Task.FromResult(StateOutcome.Done);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static StateOutcome Check(StateWrite write, StateEntry? before)
    {
        if (write.Etag is null)
        {
            return write is { FirstWrite: true, Value: not null } && before is not null ? StateOutcome.AlreadyExists : StateOutcome.Done;
        }

        if (!long.TryParse(write.Etag, NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            return StateOutcome.EtagInvalid;
        }

        return before?.Etag == write.Etag ? StateOutcome.Done : StateOutcome.EtagMismatch;
    }

    private void Apply(StateWrite write)
    {
        if (write.Value is not { } value)
        {
            entries.Remove(write.Key);
            return;
        }

        // Copied: the caller's bytes may be a rented buffer or a request's.
        entries[write.Key] = new StateEntry(value.ToArray(), (++version).ToString(CultureInfo.InvariantCulture), time.GetUtcNow() + write.Ttl);
    }

    private void Undo(List<(string Key, StateEntry? Before)> undo)
    {
        for (var i = undo.Count - 1; i >= 0; i--)
        {
            if (undo[i].Before is { } entry)
            {
                entries[undo[i].Key] = entry;
            }
            else
            {
                entries.Remove(undo[i].Key);
            }
        }
    }

    private StateEntry? FindLive(string key) =>
        entries.TryGetValue(key, out var entry) && (entry.ExpiresAt is null || entry.ExpiresAt > time.GetUtcNow()) ? entry : null;

    // Expired entries are invisible at once; memory is given back every thousandth write.
    private void SweepSometimes()
    {
        if (++writesSinceSweep < 1000)
        {
            return;
        }

        writesSinceSweep = 0;
        var now = time.GetUtcNow();
        foreach (var key in entries.Where(entry => entry.Value.ExpiresAt <= now).Select(entry => entry.Key).ToList())
        {
            entries.Remove(key);
        }
    }
}
