namespace RenderTrust.Sidecar.Workflows;

/// <summary>When the instances in memory want to be woken. Entries are not taken out: whoever fires one looks whether it still means something.</summary>
internal sealed class TimerQueue
{
    private readonly PriorityQueue<Entry, DateTimeOffset> due = new();

    /// <summary>Completes when an earlier moment was added than all before.</summary>
    private TaskCompletionSource changed = NewSource();

    public Task Changed => changed.Task;
    public DateTimeOffset? Next => due.TryPeek(out _, out var next) ? next : null;

    /// <param name="timerId">Null for the beginning of a scheduled instance.</param>
    public void Add(LiveInstance instance, int? timerId, DateTimeOffset at)
    {
        if (at >= Wire.Never)
        {
            return;
        }

        var isEarlier = Next is not { } next || at < next;
        due.Enqueue(new Entry(instance, instance.Record.Generation, timerId), at);
        if (isEarlier)
        {
            changed.TrySetResult();
        }
    }

    public Entry? TakeDue(DateTimeOffset now) => due.TryPeek(out var entry, out var at) && at <= now ? due.Dequeue() : null;

    public void Rearm() => changed = changed.Task.IsCompleted ? NewSource() : changed;

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    public sealed record Entry(LiveInstance Instance, long Generation, int? TimerId);
}
