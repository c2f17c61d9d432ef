using Grpc.Core;
using Npgsql;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.State;
using RenderTrust.Sidecar.Workflows;

namespace RenderTrust.Sidecar.Actors;

/// <summary>What both protocols offer of actors, for the app whose sidecar was called. Calls over HTTP are forwarded as they come, by <see cref="ActorsHttp"/>.</summary>
internal sealed partial class ActorApi(ActorRuntime actors, ActorTimers timers, Reminders reminders)
{
    public async Task<StateEntry?> GetStateAsync(HostedApp app, ActorKey actor, string key, CancellationToken cancellationToken)
    {
        RefuseReserved(actor);
        var store = DemandStore(app);
        try
        {
            var hold = actors.Active(actor)?.Hold;
            var entry = (await store.Store.GetAsync([StateKey(app, actor, key)], cancellationToken))[0];

            // Asked afterwards: what was read while the actor was certainly ours is what it last wrote.
            return hold is null || await hold.Directory.ConfirmAsync(hold, cancellationToken) ? entry : throw Lost(actor);
        }
        catch (Exception e) when (StateComponent.IsStoreFailure(e))
        {
            throw StateComponent.FailureOf(e, "ERR_ACTOR_STATE_GET", $"error getting actor state: {e.Message}");
        }
    }

    public async Task TransactAsync(HostedApp app, ActorKey actor, IReadOnlyList<StateRequest> operations, CancellationToken cancellationToken)
    {
        RefuseReserved(actor);
        var store = DemandStore(app);
        if (actors.HostOf(actor.Type) != app || actors.Active(actor) is not { } instance)
        {
            throw new DaprError(400, StatusCode.Internal, "ERR_ACTOR_INSTANCE_MISSING", $"actor instance is missing: {actor} is not active on {app.Id}");
        }

        var writes = operations.Select(operation => ToWrite(app, actor, operation)).ToList();
        try
        {
            await (instance.Hold is { } hold ? hold.Directory.WriteAsync(hold, writes, cancellationToken) : store.Store.TransactAsync(writes, cancellationToken));
        }
        catch (PostgresException e) when (e.SqlState == WorkflowSchema.Fenced)
        {
            throw Lost(actor);
        }
        catch (Exception e) when (StateComponent.IsStoreFailure(e))
        {
            throw StateComponent.FailureOf(e, "ERR_ACTOR_STATE_TRANSACTION_SAVE", $"error saving actor transaction state: {e.Message}");
        }
    }

    public void RegisterTimer(HostedApp app, ActorCallback timer)
    {
        RefuseReserved(timer.Actor);
        var schedule = ActorSchedule.Read(timer.DueTime, timer.Period, timer.Ttl, app.Time.GetUtcNow(), isReminder: false);
        if (actors.HostOf(timer.Actor.Type) != app)
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_TIMER_CREATE",
                $"error creating actor timer: actor type {timer.Actor.Type} is not hosted by {app.Id}");
        }

        timers.Register(timer, schedule);
    }

    public void UnregisterTimer(ActorKey actor, string name)
    {
        RefuseReserved(actor);
        timers.Unregister(actor, name);
    }

    public static StateComponent DemandStore(HostedApp app) =>
        app.Components.ActorStore
        ?? throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_RUNTIME_NOT_FOUND",
            $"the state store is not configured to use the actor runtime: {app.Id} has no component with actorStateStore \"true\"");

    private static DaprError Lost(ActorKey actor) => new(500, StatusCode.FailedPrecondition, "ERR_ACTOR_OWNER_CHANGED",
        $"this host has lost actor {actor} while its turn ran (it hung, or its database was away): nothing was read or written; call the actor again");

    private static void RefuseReserved(ActorKey actor)
    {
        if (actor.Type.StartsWith("dapr.internal.", StringComparison.Ordinal))
        {
            throw new DaprError(403, StatusCode.PermissionDenied, "ERR_ACTOR_TYPE_RESERVED", $"actor type {actor.Type} is reserved");
        }
    }

    private static StateWrite ToWrite(HostedApp app, ActorKey actor, StateRequest operation)
    {
        var ttl = operation.Value is null ? null : StateComponent.ReadTtl(operation.Metadata);
        if (operation.Metadata.ContainsKey("ttlInSeconds") && !app.Configuration.Features.Contains(AppConfiguration.ActorStateTtl))
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_STATE_TRANSACTION_SAVE",
                "ttlInSeconds is not supported without the \"ActorStateTTL\" feature enabled");
        }

        return new StateWrite(StateKey(app, actor, operation.Key), operation.Value, Ttl: ttl > TimeSpan.Zero ? ttl : null)
        {
            NeverExpires = ttl == TimeSpan.Zero,
            IsJson = operation.IsJson,
        };
    }

    private static string StateKey(HostedApp app, ActorKey actor, string key) =>
        key.Length == 0 ? throw DaprError.Malformed("the key is empty") : $"{app.Id}||{actor.Type}||{actor.Id}||{key}";
}
