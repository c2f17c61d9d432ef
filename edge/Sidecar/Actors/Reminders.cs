using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Actors;

/// <summary>One firing loop for each database that holds actor state.</summary>
internal sealed class Reminders(ActorRuntime actors, TimeProvider time, ILoggerFactory loggers) : IAsyncDisposable
{
    private readonly SemaphoreSlim gate = new(1);
    private readonly Dictionary<PostgresStateStore, FireRemindersLoop> loops = [];

    /// <summary>Also called at the start: reminders of an earlier run are due without anyone asking for them.</summary>
    public async Task<FireRemindersLoop> ForAsync(PostgresStateStore store, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (!loops.TryGetValue(store, out var loop))
            {
                var reminders = new ReminderStore(store.Database, store.TablePrefix);
                await reminders.CreateTableAsync(cancellationToken);
                loops[store] = loop = new FireRemindersLoop(reminders, actors, time, loggers.CreateLogger<FireRemindersLoop>());
            }

            return loop;
        }
        finally
        {
            gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var loop in loops.Values)
        {
            await loop.DisposeAsync();
        }

        gate.Dispose();
    }
}
