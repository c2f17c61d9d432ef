using Microsoft.Extensions.DependencyInjection;
using RenderTrust.TestKit;

namespace RenderTrust.Scheduler.Tests;

/// <summary>One scheduler for a test class. Tests stay apart by their own tenants and nodes: a job is sealed to its test's nodes only.</summary>
public class WorldFixture : IAsyncLifetime
{
    private readonly TestDatabase database = new();

    public SchedulerWorld World { get; private set; } = null!;

    internal TestDatabase Database => database;

    protected virtual Dictionary<string, string?> Settings => [];

    /// <summary>Brings an engine for the sagas; null: the one in memory.</summary>
    protected virtual Action<IServiceCollection>? Services => null;

    public virtual async ValueTask InitializeAsync()
    {
        await database.InitializeAsync();
        World = await SchedulerWorld.StartAsync(database, Settings, Services);
    }

    public virtual async ValueTask DisposeAsync()
    {
        await World.DisposeAsync();
        await database.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
