namespace Dapr.Workflow.Worker.Replay;

/// <summary>Events from outside, by name without regard to case: each goes to the one who has waited longest, or is kept until someone asks.</summary>
internal sealed class ExternalEvents
{
    private readonly Dictionary<string, List<TaskCompletionSource<string?>>> waiters = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Wire.HistoryEvent> kept = [];
    private bool closed;

    /// <summary>Events that nobody has taken, in the order in which they came.</summary>
    public IReadOnlyList<Wire.HistoryEvent> Kept => kept;

    public bool AnyWaiting => waiters.Count > 0;

    /// <summary>Takes an event that was kept.</summary>
    public bool TryTake(string name, out string? payload)
    {
        var entry = kept.Find(candidate => string.Equals(candidate.EventRaised.Name, name, StringComparison.OrdinalIgnoreCase));
        payload = entry?.EventRaised.Input;
        return entry is not null && kept.Remove(entry);
    }

    public TaskCompletionSource<string?> Wait(string name)
    {
        var waiter = new TaskCompletionSource<string?>();
        if (!waiters.TryGetValue(name, out var queue))
        {
            waiters.Add(name, queue = []);
        }

        queue.Add(waiter);
        return waiter;
    }

    /// <summary>Ends a wait without an event, so that it does not take one from those who still wait.</summary>
    public void GiveUp(string name, TaskCompletionSource<string?> waiter, CancellationToken cancellationToken)
    {
        Forget(name, waiter);
        waiter.TrySetCanceled(cancellationToken);
    }

    public void Raise(Wire.HistoryEvent entry)
    {
        if (!closed && waiters.TryGetValue(entry.EventRaised.Name, out var queue))
        {
            var waiter = queue[0];
            Forget(entry.EventRaised.Name, waiter);
            waiter.TrySetResult(entry.EventRaised.Input);
        }
        else
        {
            kept.Add(entry);
        }
    }

    /// <summary>The generation has ended: waits that were left behind take no more events.</summary>
    public void Close() => closed = true;

    private void Forget(string name, TaskCompletionSource<string?> waiter)
    {
        if (waiters.TryGetValue(name, out var queue) && queue.Remove(waiter) && queue.Count == 0)
        {
            waiters.Remove(name);
        }
    }
}
