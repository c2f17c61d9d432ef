using RenderTrust.Agent.Running;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Units;

/// <summary>
/// Keeps a job's opened assets while its units run here, so that eight frames fetch once. A job that has had no unit for a while
/// is wiped; one that is idle goes early when another job needs the space.
/// </summary>
internal sealed class JobCache(Func<LeaseOffer, CancellationToken, Task<JobWorkspace>> open, TimeSpan idle, TimeProvider time) : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _jobs = [];

    /// <summary>Takes part in a job's workspace; dispose of the lease when the unit has ended.</summary>
    public async Task<JobLease> AcquireAsync(LeaseOffer offer, CancellationToken cancellationToken)
    {
        // The manifest's hash is part of the name: the same job id with other content is another workspace.
        var name = $"{offer.JobId}/{offer.Manifest.BlobSha256}";
        Entry entry;
        lock (_lock)
        {
            if (!_jobs.TryGetValue(name, out entry!))
            {
                // Not this unit's token: another unit may be waiting for the same assets when this one is cancelled.
                entry = new Entry(name);
                entry.Workspace = OpenOrEvictAsync(offer, entry.Stopped.Token);
                _jobs.Add(name, entry);
            }

            entry.Users++;
        }

        try
        {
            return new JobLease(await entry.Workspace.WaitAsync(cancellationToken), () => Release(entry));
        }
        catch
        {
            Release(entry);
            throw;
        }
    }

    /// <summary>Wipes what has been idle for long enough; called now and then by the agent's loop.</summary>
    public void WipeIdle() => Wipe(entry => time.GetElapsedTime(entry.IdleSince) >= idle);

    public async ValueTask DisposeAsync()
    {
        Entry[] entries;
        lock (_lock)
        {
            entries = [.. _jobs.Values];
            _jobs.Clear();
        }

        foreach (var entry in entries)
        {
            await entry.WipeAsync();
        }
    }

    private async Task<JobWorkspace> OpenOrEvictAsync(LeaseOffer offer, CancellationToken cancellationToken)
    {
        // Never on the caller's thread: it holds the lock.
        await Task.Yield();
        try
        {
            return await open(offer, cancellationToken);
        }
        catch (UnitFailedException exception) when (exception.FailureClass == FailureClass.ScratchTooSmall && Wipe(_ => true))
        {
            return await open(offer, cancellationToken);
        }
    }

    private bool Wipe(Func<Entry, bool> condition)
    {
        Entry[] idleOnes;
        lock (_lock)
        {
            idleOnes = [.. _jobs.Values.Where(entry => entry.Users == 0 && condition(entry))];
            foreach (var entry in idleOnes)
            {
                _jobs.Remove(entry.Name);
            }
        }

        foreach (var entry in idleOnes)
        {
            entry.WipeNow();
        }

        return idleOnes.Length > 0;
    }

    private void Release(Entry entry)
    {
        var drop = false;
        lock (_lock)
        {
            entry.Users--;
            entry.IdleSince = time.GetTimestamp();
            if (entry.Users == 0 && !entry.Workspace.IsCompletedSuccessfully)
            {
                // A failure is not kept: the next unit may find the hub back, or the asset uploaded again.
                drop = _jobs.Remove(entry.Name);
            }
        }

        if (drop)
        {
            entry.Stopped.Cancel();
            _ = entry.WipeAsync();
        }
    }

    private sealed class Entry(string name)
    {
        public string Name { get; } = name;

        public CancellationTokenSource Stopped { get; } = new();

        public Task<JobWorkspace> Workspace { get; set; } = null!;

        public int Users { get; set; }

        public long IdleSince { get; set; }

        public void WipeNow() => Workspace.Result.Dispose();

        public async Task WipeAsync()
        {
            await Stopped.CancelAsync();
            try
            {
                (await Workspace).Dispose();
            }
            catch (Exception exception) when (exception is UnitFailedException or OperationCanceledException or IOException)
            {
                // It never opened, and an opener that fails wipes by itself.
            }
        }
    }
}

/// <summary>One unit's part in a job's workspace.</summary>
internal sealed class JobLease(JobWorkspace workspace, Action release) : IDisposable
{
    private int _disposed;

    public JobWorkspace Workspace { get; } = workspace;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            release();
        }
    }
}
