namespace RenderTrust.Scheduler.Events;

/// <summary>Wakes every waiting tail of this process. Take the task before reading: a commit between the two is then not missed.</summary>
internal sealed class JobEventSignal
{
    private volatile TaskCompletionSource next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Next => next.Task;

    public void Raise() =>
        Interlocked.Exchange(ref next, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
}
