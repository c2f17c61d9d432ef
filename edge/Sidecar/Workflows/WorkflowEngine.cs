using System.Threading.Channels;
using Npgsql;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>
/// Runs the workflows of the apps that share one actor state store. Everything that matters is in the database; what is in memory here
/// is a copy, changed under one lock and written by one loop that puts the turns of many instances into each transaction.
/// When a commit's outcome is unknown, the whole copy is thrown away and read anew under a new host id.
/// </summary>
internal sealed partial class WorkflowEngine : IAsyncDisposable
{
    private const int UnitsPerCommitMax = 200;
    private const int BytesPerCommitMax = 8 << 20;
    private static readonly TimeSpan OpenLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ReopenDelayMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ReopenDelayMax = TimeSpan.FromSeconds(5);

    private readonly Lock gate = new();
    private readonly Dictionary<InstanceAddress, LiveInstance> live = [];
    private readonly Dictionary<Guid, LiveInstance> byKey = [];
    private readonly Dictionary<string, AppQueue> queues;
    private readonly WorkflowStore store;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly CancellationTokenSource stopping = new();
    private readonly Task running;
    private TaskCompletionSource opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private HostSession? session;
    private CancellationTokenSource? sessionEnd;
    private Channel<CommitUnit> units = Channel.CreateUnbounded<CommitUnit>();

    /// <param name="apps">App ids with the largest message that each app takes, in bytes.</param>
    public WorkflowEngine(WorkflowStore store, IEnumerable<KeyValuePair<string, long>> apps, TimeProvider time, ILogger<WorkflowEngine> logger)
    {
        this.store = store;
        this.time = time;
        this.logger = logger;
        queues = apps.ToDictionary(app => app.Key, app => new AppQueue(app.Key, app.Value));
        running = RunAsync(stopping.Token);
    }

    public WorkflowStore Store => store;

    /// <summary>Ends with the engine; streams and waits end with it.</summary>
    public CancellationToken Stopping => stopping.Token;

    /// <summary>A request that comes while the database is away waits a little: most of the time it is back soon.</summary>
    public async Task OpenedAsync(CancellationToken cancellationToken)
    {
        Task session;
        lock (gate)
        {
            session = opened.Task;
        }

        try
        {
            await session.WaitAsync(OpenLimit, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw WorkflowError.Unavailable();
        }
    }

    public bool HasWorker(string appId) => queues.TryGetValue(appId, out var queue) && queue.Streams.Count > 0;

    public LiveInstance? Find(InstanceAddress address) => live.GetValueOrDefault(address);

    /// <summary>Ends streams and waits, and gives up what this host owns so that the next one need not wait.</summary>
    public async ValueTask DisposeAsync()
    {
        if (stopping.IsCancellationRequested)
        {
            return;
        }

        await stopping.CancelAsync();
        await running;
        await store.DisposeAsync();
        stopping.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        var delay = ReopenDelayMin;
        while (!cancellationToken.IsCancellationRequested)
        {
            var startedAt = time.GetTimestamp();
            try
            {
                await using var session = await HostSession.OpenAsync(await store.OpenSessionConnectionAsync(cancellationToken), store.Schema.Session, time, cancellationToken);
                await ServeAsync(session, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                // The top of a loop: whatever broke the session, the next one begins from what is stored.
                LogSessionLost(logger, e);
            }

            // A session that held for a while earns a quick new one.
            delay = time.GetElapsedTime(startedAt) > ReopenDelayMax ? ReopenDelayMin : delay * 2 > ReopenDelayMax ? ReopenDelayMax : delay * 2;
            await Task.Delay(delay, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ServeAsync(HostSession begun, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Channel<CommitUnit> queue;
        lock (gate)
        {
            session = begun;
            sessionEnd = ended;
            queue = units = Channel.CreateUnbounded<CommitUnit>();
            opened.TrySetResult();
        }

        Task[] loops = [CommitLoopAsync(begun, queue.Reader, ended.Token), TendLoopAsync(begun, ended.Token), FireTimersLoopAsync(ended.Token)];
        try
        {
            await await Task.WhenAny(loops);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // Stopped, or told to start over.
        }
        finally
        {
            await ended.CancelAsync();
            await Task.WhenAll(loops).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Forget(queue);
            if (cancellationToken.IsCancellationRequested)
            {
                await ReleaseAsync(begun);
            }
        }
    }

    private async Task ReleaseAsync(HostSession ended)
    {
        // Not the engine's token, which has ended: without this the next host would wait for our lease.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await ended.EndAsync([TakeOver.Command(store.Schema, ended.HostId)], limit.Token);
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException or InvalidOperationException)
        {
            LogNotReleased(logger, e);
        }
    }

    private void Forget(Channel<CommitUnit> queue)
    {
        lock (gate)
        {
            session = null;
            sessionEnd = null;
            opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            queue.Writer.TryComplete();
            while (queue.Reader.TryRead(out var unit))
            {
                unit.Failed(WorkflowError.Unavailable());
            }

            foreach (var instance in live.Values.ToList())
            {
                Unload(instance);
            }
        }
    }

    private async Task CommitLoopAsync(HostSession host, ChannelReader<CommitUnit> reader, CancellationToken cancellationToken)
    {
        while (await reader.WaitToReadAsync(cancellationToken))
        {
            var taken = new List<CommitUnit>();
            var batch = new CommitBatch(store.Schema, host.HostId);
            lock (gate)
            {
                while (taken.Count < UnitsPerCommitMax && batch.Bytes < BytesPerCommitMax && reader.TryRead(out var unit))
                {
                    unit.AddTo(batch);
                    taken.Add(unit);
                }
            }

            try
            {
                await CommitAsync(host, batch, taken, cancellationToken);
            }
            catch (Exception e)
            {
                lock (gate)
                {
                    taken.ForEach(unit => unit.Failed(e is PostgresException ? e : WorkflowError.Unavailable()));
                }

                throw;
            }
        }
    }

    private async Task CommitAsync(HostSession host, CommitBatch batch, List<CommitUnit> taken, CancellationToken cancellationToken)
    {
        try
        {
            await host.RunAsync(batch.Steps(), cancellationToken);
        }
        catch (PostgresException e) when (taken.Count > 1 && IsOwn(e))
        {
            // Certain to be undone as a whole: one of them is at fault, and the others must not suffer for it.
            LogSplit(logger, e, taken.Count);
            await CommitOneByOneAsync(host, taken, cancellationToken);
            return;
        }
        catch (PostgresException e) when (IsOwn(e) && e.SqlState is PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure)
        {
            await CommitOneByOneAsync(host, taken, cancellationToken);
            return;
        }
        catch (PostgresException e) when (IsOwn(e))
        {
            await host.RenewAsync(cancellationToken);
            lock (gate)
            {
                taken[0].Failed(e);
            }

            return;
        }

        lock (gate)
        {
            taken.ForEach(unit => unit.Done(batch));
            ContinueMoved();
        }
    }

    private async Task CommitOneByOneAsync(HostSession host, List<CommitUnit> taken, CancellationToken cancellationToken)
    {
        foreach (var unit in taken.ToList())
        {
            var single = new CommitBatch(store.Schema, host.HostId);
            lock (gate)
            {
                unit.AddTo(single);
            }

            await CommitAsync(host, single, [unit], cancellationToken);
            taken.Remove(unit);
        }
    }

    // An error of ours leaves the connection usable; one of the server's (shutting down, out of memory) does not.
    private static bool IsOwn(PostgresException e) => e.Severity == "ERROR" && !e.SqlState.StartsWith("57", StringComparison.Ordinal);

    /// <summary>What is in memory can no longer be trusted to be all there is: begin again from what is stored.</summary>
    public void StartOver() => sessionEnd?.CancelAsync();

    private void Enqueue(CommitUnit unit)
    {
        if (session is null || !units.Writer.TryWrite(unit))
        {
            unit.Failed(WorkflowError.Unavailable());
        }
    }

    [LoggerMessage(LogLevel.Error, "The workflow session with the database ended; workflows go on from what is stored as soon as it can be opened again")]
    private static partial void LogSessionLost(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Workflows could not be released at the end; another host takes them over when this one's connection is gone")]
    private static partial void LogNotReleased(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "A transaction of {Units} workflow writes was refused; they are tried one by one")]
    private static partial void LogSplit(ILogger logger, Exception exception, int units);
}
