namespace RenderTrust.Sidecar.Actors;

internal enum TurnOutcome
{
    Entered = 0,

    /// <summary>The same call chain came round too often.</summary>
    TooDeep = 1,

    /// <summary>The actor was deactivated or its app is gone; look it up again.</summary>
    Closed = 2,
}

/// <summary>
/// One turn at a time, first come first served. A call that carries the id of the running turn joins it, if its type is reentrant.
/// SemaphoreSlim is not used because it promises no order.
/// </summary>
internal sealed class TurnLock(bool reentrant, int depthMax)
{
    private readonly Lock gate = new();
    private readonly LinkedList<Waiter> waiters = [];
    private bool isClosed;
    private int depth;
    private string? runningId;

    public bool IsRunning
    {
        get
        {
            lock (gate)
            {
                return depth > 0;
            }
        }
    }

    public async ValueTask<TurnOutcome> EnterAsync(string? reentrancyId, CancellationToken cancellationToken)
    {
        LinkedListNode<Waiter> node;
        lock (gate)
        {
            if (isClosed)
            {
                return TurnOutcome.Closed;
            }

            if (depth == 0)
            {
                (depth, runningId) = (1, reentrancyId);
                return TurnOutcome.Entered;
            }

            if (reentrant && reentrancyId is not null && reentrancyId == runningId)
            {
                if (depth >= depthMax)
                {
                    return TurnOutcome.TooDeep;
                }

                depth++;
                return TurnOutcome.Entered;
            }

            node = waiters.AddLast(new Waiter(reentrancyId));
        }

        await using (cancellationToken.Register(() => GiveUp(node, cancellationToken)))
        {
            return await node.Value.Turn.Task;
        }
    }

    /// <summary>Takes the turn only if nobody has or wants it.</summary>
    public bool TryEnter()
    {
        lock (gate)
        {
            if (isClosed || depth > 0)
            {
                return false;
            }

            (depth, runningId) = (1, null);
            return true;
        }
    }

    public void Exit()
    {
        lock (gate)
        {
            if (--depth > 0)
            {
                return;
            }

            runningId = null;
            if (waiters.First is { } next)
            {
                waiters.RemoveFirst();
                (depth, runningId) = (1, next.Value.ReentrancyId);
                next.Value.Turn.SetResult(TurnOutcome.Entered);
            }
        }
    }

    /// <summary>Nobody enters any more; those who wait are sent to look the actor up again.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            foreach (var waiter in waiters)
            {
                waiter.Turn.SetResult(TurnOutcome.Closed);
            }

            waiters.Clear();
        }
    }

    private void GiveUp(LinkedListNode<Waiter> node, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            // Already served: the turn is this caller's to end, cancelled or not.
            if (node.List is null)
            {
                return;
            }

            waiters.Remove(node);
        }

        node.Value.Turn.SetCanceled(cancellationToken);
    }

    private sealed record Waiter(string? ReentrancyId)
    {
        public TaskCompletionSource<TurnOutcome> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
