using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Actors;

/// <summary>One firing loop for each store that holds actor state.</summary>
internal sealed class Reminders(ActorRuntime actors, TimeProvider time, ILoggerFactory loggers) : IAsyncDisposable
{
    private readonly SemaphoreSlim gate = new(1);
    private readonly Dictionary<IStateStore, FireRemindersLoop> loops = [];

    /// <summary>Also called at the start: reminders of an earlier run are due without anyone asking for them.</summary>
    public async Task<FireRemindersLoop> ForAsync(IStateStore store, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (!loops.TryGetValue(store, out var loop))
            {
                loops[store] = loop = new FireRemindersLoop(await OpenAsync(store, cancellationToken), actors, time, loggers.CreateLogger<FireRemindersLoop>());
            }

            return loop;
        }
        finally
        {
            gate.Release();
        }
    }

    private static async Task<IReminderStore> OpenAsync(IStateStore store, CancellationToken cancellationToken)
    {
        if (store is not PostgresStateStore postgres)
        {
            return new StateReminderStore(store);
        }

        var table = new PostgresReminderStore(postgres.Database, postgres.TablePrefix);
        await table.CreateTableAsync(cancellationToken);
        return table;
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
