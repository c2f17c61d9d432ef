using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Actors;

internal sealed partial class ActorApi
{
    public async Task RegisterReminderAsync(HostedApp app, ActorCallback reminder, bool overwrite, CancellationToken cancellationToken)
    {
        RefuseReserved(reminder.Actor);
        var schedule = ActorSchedule.Read(reminder.DueTime, reminder.Period, reminder.Ttl, app.Time.GetUtcNow(), isReminder: true);
        var loop = await DemandRemindersAsync(app, reminder.Actor.Type, cancellationToken);
        if (!await GuardAsync("CREATE", "creating", () => loop.Store.SaveAsync(app.Id, reminder, schedule, overwrite, cancellationToken)))
        {
            throw new DaprError(409, StatusCode.AlreadyExists, "ERR_ACTOR_REMINDER_ALREADY_EXISTS",
                $"reminder {reminder.Name} of actor {reminder.Actor} already exists and overwrite is false");
        }

        loop.Wake();
    }

    public async Task<StoredReminder> GetReminderAsync(HostedApp app, ActorKey actor, string name, CancellationToken cancellationToken)
    {
        RefuseReserved(actor);
        var loop = await DemandRemindersAsync(app, actor.Type, cancellationToken);
        return (await GuardAsync("GET", "getting", () => loop.Store.FindAsync(app.Id, actor.Type, actor.Id, name, cancellationToken))).SingleOrDefault()
            ?? throw new DaprError(404, StatusCode.NotFound, "ERR_ACTOR_REMINDER_NOT_FOUND", $"reminder {name} of actor {actor} was not found");
    }

    /// <param name="actorId">Null for those of every actor of the type.</param>
    public async Task<IReadOnlyList<StoredReminder>> ListRemindersAsync(HostedApp app, string type, string? actorId, CancellationToken cancellationToken)
    {
        RefuseReserved(new ActorKey(type, ""));
        var loop = await DemandRemindersAsync(app, type, cancellationToken);
        return await GuardAsync("GET", "getting", () => loop.Store.FindAsync(app.Id, type, actorId, null, cancellationToken));
    }

    /// <param name="actorId">Null for those of every actor of the type.</param>
    /// <param name="name">Null for every reminder.</param>
    public async Task DeleteRemindersAsync(HostedApp app, string type, string? actorId, string? name, CancellationToken cancellationToken)
    {
        RefuseReserved(new ActorKey(type, ""));
        var loop = await DemandRemindersAsync(app, type, cancellationToken);
        await GuardAsync("DELETE", "deleting", async () =>
        {
            await loop.Store.DeleteAsync(app.Id, type, actorId, name, cancellationToken);
            return true;
        });
    }

    private async Task<FireRemindersLoop> DemandRemindersAsync(HostedApp app, string type, CancellationToken cancellationToken)
    {
        var store = DemandStore(app);
        return actors.HostOf(type) == app
            ? await reminders.ForAsync(store.Store, cancellationToken)
            : throw new DaprError(403, StatusCode.PermissionDenied, "ERR_ACTOR_REMINDER_NON_HOSTED",
                $"operations on actor reminders are only possible on hosted actor types: {type} is not hosted by {app.Id}");
    }

    private static async Task<T> GuardAsync<T>(string code, string doing, Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception e) when (StateComponent.IsStoreFailure(e))
        {
            throw StateComponent.FailureOf(e, $"ERR_ACTOR_REMINDER_{code}", $"error {doing} actor reminder: {e.Message}");
        }
    }
}
