namespace RenderTrust.Sidecar.Workflows;

/// <summary>Callers that wait for an instance to come to something.</summary>
internal sealed partial class WorkflowEngine
{
    private static readonly TimeSpan WaitPollMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan WaitPollMax = TimeSpan.FromSeconds(2);

    private readonly Dictionary<InstanceAddress, TaskCompletionSource<InstanceRecord>> watched = [];

    /// <summary>Waits until the caller's token ends it; an instance that does not exist may yet appear.</summary>
    public Task<InstanceRecord> WaitAsync(string appId, string instanceId, Func<InstanceRecord, bool> until, CancellationToken cancellationToken) =>
        WaitAsync(Address(appId, instanceId), until, mayAppear: true, cancellationToken)!;

    /// <summary>Null when the instance is no longer there.</summary>
    private async Task<InstanceRecord?> WaitAsync(InstanceAddress address, Func<InstanceRecord, bool> until, bool mayAppear, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, Stopping);
        var poll = WaitPollMin;
        while (true)
        {
            Task<InstanceRecord> told;
            InstanceRecord? seen;
            lock (gate)
            {
                told = Watch(address);
                seen = Find(address)?.Record;
            }

            var isOurs = seen is not null;
            seen ??= await store.FindAsync(address, either.Token);
            if (seen is null && !mayAppear)
            {
                return null;
            }

            if (seen is not null && until(seen))
            {
                return seen;
            }

            // Another host's instance is heard of only by looking; our own tells us.
            await ((Task)told.WaitAsync(isOurs ? Timeout.InfiniteTimeSpan : poll, time, either.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            poll = poll * 2 > WaitPollMax ? WaitPollMax : poll * 2;
            if (Stopping.IsCancellationRequested)
            {
                throw WorkflowError.Unavailable();
            }

            cancellationToken.ThrowIfCancellationRequested();
            if (told.IsCompletedSuccessfully && until(await told))
            {
                return await told;
            }
        }
    }

    private Task<InstanceRecord> Watch(InstanceAddress address)
    {
        if (!watched.TryGetValue(address, out var source))
        {
            watched[address] = source = new TaskCompletionSource<InstanceRecord>(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        return source.Task;
    }

    private void Tell(InstanceRecord record)
    {
        if (watched.Remove(record.Address, out var source))
        {
            source.SetResult(record);
        }
    }
}
