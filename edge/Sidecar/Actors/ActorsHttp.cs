using System.Text;
using System.Text.Json;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Invoke;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Actors;

/// <summary>/v1.0/actors: calls, state, timers, reminders.</summary>
internal sealed class ActorsHttp(ActorRuntime actors, ActorTimers timers, Reminders reminders, Forwarder forwarder)
{
    private const string ReentrancyHeader = "Dapr-Reentrancy-Id";
    private static readonly string[] AnyVerb = ["GET", "POST", "PUT", "DELETE"];
    private static readonly string[] Write = ["POST", "PUT"];

    public void Map(IEndpointRouteBuilder routes)
    {
        const string actor = "/v1.0/actors/{type}/{id}";
        routes.MapMethods(actor + "/method/{**method}", AnyVerb, InvokeAsync);
        routes.MapGet(actor + "/state/{**key}", GetStateAsync);
        routes.MapMethods(actor + "/state", Write, TransactAsync);
        routes.MapMethods(actor + "/timers/{name}", Write, RegisterTimerAsync);
        routes.MapDelete(actor + "/timers/{name}", UnregisterTimer);
        routes.MapMethods(actor + "/reminders/{name}", Write, RegisterReminderAsync);
        routes.MapGet(actor + "/reminders/{name}", GetReminderAsync);
        routes.MapDelete(actor + "/reminders/{name}", DeleteReminderAsync);
    }

    private async Task InvokeAsync(HttpContext context)
    {
        var key = Key(context);
        DemandStore(context, actors.HostOf(key.Type));
        var given = context.Request.Headers[ReentrancyHeader].ToString();
        using var turn = await actors.EnterAsync(key, given.Length == 0 ? null : given, context.RequestAborted);
        var path = $"{key.Path}/method/{Uri.EscapeDataString(context.Route("method"))}";
        var outcome = await forwarder.ForwardAsync(context, turn.Instance.App, HttpMethod.Put, path, $"call actor {key.Type} of",
            headers =>
            {
                if (turn.ReentrancyId is { } id && given.Length == 0)
                {
                    headers.TryAddWithoutValidation(ReentrancyHeader, id);
                }
            },
            context.App().Resilience.ForActor(key.Type),
            RefuseFailureAsync);
        if (outcome is ForwardOutcome.TimedOut or ForwardOutcome.CircuitOpen)
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_INVOKE_METHOD", $"error invoke actor method: ended by the resiliency policy of actor type {key.Type} ({outcome})");
        }

        if (outcome == ForwardOutcome.Unreachable)
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_INVOKE_METHOD",
                $"error invoke actor method: the app {turn.Instance.App.Id} does not answer at {turn.Instance.App.Address}");
        }
    }

    // An actor's own exception comes as 200 with a header; any other status means that the call did not reach a method.
    private static async Task<bool> RefuseFailureAsync(HttpContext context, HttpResponseMessage response)
    {
        if (response.IsSuccessStatusCode)
        {
            return false;
        }

        var text = await response.Content.ReadAsStringAsync(context.RequestAborted);
        await DaprHttp.WriteErrorAsync(context, 500, "ERR_ACTOR_INVOKE_METHOD",
            $"error invoke actor method: error from actor service: ({(int)response.StatusCode}) {text}");
        return true;
    }

    private async Task GetStateAsync(HttpContext context)
    {
        var key = Key(context);
        RefuseReserved(key);
        var store = DemandStore(context, context.App());
        IReadOnlyList<StateEntry?> entries;
        try
        {
            entries = await store.Store.GetAsync([StateKey(context.App(), key, context.Route("key"))], context.RequestAborted);
        }
        catch (Exception e) when (StateComponent.IsStoreFailure(e))
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_STATE_GET", $"error getting actor state: {e.Message}");
        }

        if (entries[0] is not { } entry)
        {
            await DaprHttp.NoContent(context);
            return;
        }

        if (entry.ExpiresAt is { } expires)
        {
            context.Response.Headers["Metadata.ttlExpireTime"] = StateHttp.Rfc3339(expires);
        }

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = entry.Value.Length;
        await context.Response.Body.WriteAsync(entry.Value, context.RequestAborted);
    }

    private async Task TransactAsync(HttpContext context)
    {
        var key = Key(context);
        RefuseReserved(key);
        var app = context.App();
        var store = DemandStore(context, app);
        if (actors.HostOf(key.Type) != app || !actors.IsActive(key))
        {
            throw new DaprError(400, StatusCode.Internal, "ERR_ACTOR_INSTANCE_MISSING", $"actor instance is missing: {key} is not active on {app.Id}");
        }

        using var body = await DaprHttp.ReadJsonAsync(context);
        if (body.RootElement.ValueKind != JsonValueKind.Array)
        {
            throw DaprError.Malformed("the body must be an array of {operation, request}");
        }

        var writes = StateHttp.ReadOperations(body.RootElement).Select(request => request.Metadata.ContainsKey("ttlInSeconds")
            ? throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_STATE_TRANSACTION_SAVE",
                "ttlInSeconds is not supported without the \"ActorStateTTL\" feature enabled")
            : new StateWrite(StateKey(app, key, request.Key), request.Value) { IsJson = request.IsJson }).ToList();
        try
        {
            await store.Store.TransactAsync(writes, context.RequestAborted);
        }
        catch (Exception e) when (StateComponent.IsStoreFailure(e))
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_STATE_TRANSACTION_SAVE", $"error saving actor transaction state: {e.Message}");
        }

        await DaprHttp.NoContent(context);
    }

    private async Task RegisterTimerAsync(HttpContext context)
    {
        var (callback, schedule, _) = await ReadCallbackAsync(context, isReminder: false);
        if (actors.HostOf(callback.Actor.Type) != context.App())
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_TIMER_CREATE",
                $"error creating actor timer: actor type {callback.Actor.Type} is not hosted by {context.App().Id}");
        }

        timers.Register(callback, schedule);
        await DaprHttp.NoContent(context);
    }

    private Task UnregisterTimer(HttpContext context)
    {
        var key = Key(context);
        RefuseReserved(key);
        timers.Unregister(key, context.Route("name"));
        return DaprHttp.NoContent(context);
    }

    private async Task RegisterReminderAsync(HttpContext context)
    {
        var app = context.App();
        var (callback, schedule, overwrite) = await ReadCallbackAsync(context, isReminder: true);
        var loop = await DemandRemindersAsync(context, callback.Actor, "ERR_ACTOR_REMINDER_CREATE");
        if (!await loop.Store.SaveAsync(app.Id, callback, schedule, overwrite, context.RequestAborted))
        {
            throw new DaprError(409, StatusCode.AlreadyExists, "ERR_ACTOR_REMINDER_ALREADY_EXISTS",
                $"reminder {callback.Name} of actor {callback.Actor} already exists and overwrite is false");
        }

        loop.Wake();
        await DaprHttp.NoContent(context);
    }

    private async Task GetReminderAsync(HttpContext context)
    {
        var key = Key(context);
        var name = context.Route("name");
        var loop = await DemandRemindersAsync(context, key, "ERR_ACTOR_REMINDER_GET");
        var reminder = await loop.Store.FindAsync(context.App().Id, key, name, context.RequestAborted)
            ?? throw new DaprError(404, StatusCode.NotFound, "ERR_ACTOR_REMINDER_NOT_FOUND", $"reminder {name} of actor {key} was not found");
        await DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("dueTime", reminder.DueTime);
            writer.WriteString("period", reminder.Period);
            if (reminder.Ttl is { } ttl)
            {
                writer.WriteString("ttl", ttl);
            }

            if (reminder.Data is { } data)
            {
                writer.WritePropertyName("data");
                writer.WriteRawValue(data);
            }

            writer.WriteString("actorID", key.Id);
            writer.WriteString("actorType", key.Type);
            writer.WriteEndObject();
        });
    }

    private async Task DeleteReminderAsync(HttpContext context)
    {
        var key = Key(context);
        var loop = await DemandRemindersAsync(context, key, "ERR_ACTOR_REMINDER_DELETE");
        await loop.Store.DeleteAsync(context.App().Id, key, context.Route("name"), context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    private async Task<FireRemindersLoop> DemandRemindersAsync(HttpContext context, ActorKey key, string code)
    {
        RefuseReserved(key);
        var store = DemandStore(context, context.App());
        if (actors.HostOf(key.Type) != context.App())
        {
            throw new DaprError(403, StatusCode.PermissionDenied, "ERR_ACTOR_REMINDER_NON_HOSTED",
                $"operations on actor reminders are only possible on hosted actor types: {key.Type} is not hosted by {context.App().Id}");
        }

        return store.Store is PostgresStateStore postgres
            ? await reminders.ForAsync(postgres, context.RequestAborted)
            : throw new DaprError(500, StatusCode.Internal, code,
                $"reminders need an actor state store that survives a restart: {store.Name} does not, use state.postgresql");
    }

    private static async Task<(ActorCallback Callback, ActorSchedule Schedule, bool Overwrite)> ReadCallbackAsync(HttpContext context, bool isReminder)
    {
        var key = Key(context);
        RefuseReserved(key);
        using var body = await DaprHttp.ReadJsonAsync(context);
        var root = body.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw DaprError.Malformed("the body must be an object with dueTime or period");
        }

        if (root.TryGetProperty("failure_policy", out var policy) && policy.ValueKind != JsonValueKind.Null)
        {
            throw DaprError.NotServed("failure_policy of a reminder");
        }

        var dueTime = DaprHttp.ReadText(root, "dueTime") ?? "";
        var period = DaprHttp.ReadText(root, "period") ?? "";
        var ttl = DaprHttp.ReadText(root, "ttl");
        var data = root.TryGetProperty("data", out var value) ? Encoding.UTF8.GetBytes(value.GetRawText()) : null;
        var schedule = ActorSchedule.Read(dueTime, period, ttl, context.App().Time.GetUtcNow(), isReminder);
        var overwrite = !root.TryGetProperty("overwrite", out var flag) || flag.ValueKind != JsonValueKind.False;
        return (new ActorCallback(key, context.Route("name"), dueTime, period, DaprHttp.ReadText(root, "callback"), data, ttl), schedule, overwrite);
    }

    private static ActorKey Key(HttpContext context) => new(context.Route("type"), context.Route("id"));

    private static string StateKey(HostedApp app, ActorKey actor, string key) =>
        key.Length == 0 ? throw DaprError.Malformed("the key is empty") : $"{app.Id}||{actor.Type}||{actor.Id}||{key}";

    private static StateComponent DemandStore(HttpContext context, HostedApp? app) =>
        (app ?? context.App()).Components.ActorStore
        ?? throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_RUNTIME_NOT_FOUND",
            $"the state store is not configured to use the actor runtime: {(app ?? context.App()).Id} has no component with actorStateStore \"true\"");

    private static void RefuseReserved(ActorKey key)
    {
        if (key.Type.StartsWith("dapr.internal.", StringComparison.Ordinal))
        {
            throw new DaprError(403, StatusCode.PermissionDenied, "ERR_ACTOR_TYPE_RESERVED", $"actor type {key.Type} is reserved");
        }
    }
}
