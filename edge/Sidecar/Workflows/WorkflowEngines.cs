using Grpc.Core;
using Npgsql;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>One engine for each database that holds actor state; apps that share it can call each other's activities and workflows.</summary>
internal sealed class WorkflowEngines : IAsyncDisposable
{
    private readonly Dictionary<string, WorkflowEngine> byApp = [];
    private readonly List<WorkflowEngine> engines = [];

    public static async Task<WorkflowEngines> OpenAsync(
        IReadOnlyList<HostedApp> apps, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var all = new WorkflowEngines();
        foreach (var group in apps.Where(app => app.Components.ActorStore?.Store is PostgresStateStore).GroupBy(app => (PostgresStateStore)app.Components.ActorStore!.Store))
        {
            var store = await WorkflowStore.OpenAsync(group.Key.ConnectionString, group.Key.TablePrefix, cancellationToken);
            var engine = new WorkflowEngine(
                store, group.Select(app => KeyValuePair.Create(app.Id, app.Definition.MaxBodyBytes)), time, loggers.CreateLogger<WorkflowEngine>());
            all.engines.Add(engine);
            await engine.OpenedAsync(cancellationToken);
            foreach (var app in group)
            {
                all.byApp[app.Id] = engine;
            }
        }

        return all;
    }

    /// <summary>The engine of the calling app, and the app that is meant: the caller unless a router names another.</summary>
    public (WorkflowEngine Engine, string AppId) For(HostedApp app, string? target)
    {
        if (!byApp.TryGetValue(app.Id, out var engine))
        {
            throw new WorkflowError(StatusCode.FailedPrecondition,
                $"App {app.Id} has no actor state store in Postgres, which workflows are kept in. Give it a component of type state.postgresql with actorStateStore \"true\".");
        }

        if (target is not null && byApp.GetValueOrDefault(target) != engine)
        {
            throw WorkflowError.Invalid($"App '{target}' is not served by this sidecar host with the same actor state store as {app.Id}. Check the app id and dapr.yaml.");
        }

        return (engine, target ?? app.Id);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var engine in engines)
        {
            await engine.DisposeAsync();
        }
    }
}
