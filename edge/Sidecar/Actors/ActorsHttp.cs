using System.Text;
using System.Text.Json;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.Invoke;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Actors;

/// <summary>/v1.0/actors: calls, state, timers, reminders.</summary>
internal sealed class ActorsHttp(ActorRuntime actors, ActorApi api, Forwarder forwarder)
{
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
        var search = actors.Search(Key(context));
        ActorApi.DemandStore(actors.HostOf(search.Key.Type) ?? context.App());
        var given = context.Request.Headers[ActorRuntime.ReentrancyHeader].ToString();
        byte[]? kept = null;
        while (true)
        {
            using (var turn = await actors.EnterAsync(search, given.Length == 0 ? null : given, context.RequestAborted))
            {
                if (turn.IsElsewhere || kept is not null)
                {
                    // It may have to be sent to the next owner.
                    kept ??= await DaprHttp.ReadBodyAsync(context);
                    context.Request.Body = new MemoryStream(kept);
                }

                if (await TryCallAsync(context, search.Key, turn, given))
                {
                    return;
                }
            }

            await search.AgainAsync(ActorRuntime.OwnerWait, context.RequestAborted);
        }
    }

    public static DaprError Unanswered(Callee callee) => new(500, StatusCode.Internal, "ERR_ACTOR_INVOKE_METHOD", callee.App is { } app
        ? $"error invoke actor method: the app {app.Id} does not answer at {app.Address}"
        : $"error invoke actor method: the host at {callee.Address} that had the actor is gone; whether the call had an effect is unknown");

    /// <summary>False when the actor is not there any more and nothing has been done.</summary>
    private async Task<bool> TryCallAsync(HttpContext context, ActorKey key, ActorTurn turn, string given)
    {
        var isMisdirected = false;
        var outcome = await forwarder.ForwardAsync(
            context, turn.Callee, HttpMethod.Put, $"{key.Path}/method/{Uri.EscapeDataString(context.Route("method"))}", $"call actor {key.Type} of",
            headers => ActorRuntime.AddTurn(headers, turn, given.Length == 0 ? null : given),
            context.App().Resilience.ForActor(key.Type),
            (http, response) =>
            {
                isMisdirected = turn.IsElsewhere && response.Headers.Contains(PeerHeaders.NotHere);
                return isMisdirected ? Task.FromResult(true) : RefuseFailureAsync(http, response);
            });
        switch (outcome)
        {
            case ForwardOutcome.TimedOut or ForwardOutcome.CircuitOpen:
                throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_INVOKE_METHOD", $"error invoke actor method: ended by the resiliency policy of actor type {key.Type} ({outcome})");
            case ForwardOutcome.NotReached when turn.IsElsewhere:
                return false;
            case ForwardOutcome.Unreachable or ForwardOutcome.NotReached:
                throw Unanswered(turn.Callee);
            default:
                return !isMisdirected;
        }
    }

    // An actor's own exception comes as 200 with a header; any other status means that the call did not reach a method.
    private static async Task<bool> RefuseFailureAsync(HttpContext context, HttpResponseMessage response)
    {
        if (response.IsSuccessStatusCode)
        {
            return false;
        }

        var text = await AppClient.ReadTextAsync(response, context.RequestAborted);
        await DaprHttp.WriteErrorAsync(context, 500, "ERR_ACTOR_INVOKE_METHOD",
            $"error invoke actor method: error from actor service: ({(int)response.StatusCode}) {text}");
        return true;
    }

    private async Task GetStateAsync(HttpContext context)
    {
        if (await api.GetStateAsync(context.App(), Key(context), context.Route("key"), context.RequestAborted) is not { } entry)
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
        using var body = await DaprHttp.ReadJsonAsync(context);
        if (body.RootElement.ValueKind != JsonValueKind.Array)
        {
            throw DaprError.Malformed("the body must be an array of {operation, request}");
        }

        await api.TransactAsync(context.App(), Key(context), [.. StateHttp.ReadOperations(body.RootElement)], context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    private async Task RegisterTimerAsync(HttpContext context)
    {
        var (timer, _) = await ReadCallbackAsync(context);
        api.RegisterTimer(context.App(), timer);
        await DaprHttp.NoContent(context);
    }

    private Task UnregisterTimer(HttpContext context)
    {
        api.UnregisterTimer(Key(context), context.Route("name"));
        return DaprHttp.NoContent(context);
    }

    private async Task RegisterReminderAsync(HttpContext context)
    {
        var (reminder, overwrite) = await ReadCallbackAsync(context);
        await api.RegisterReminderAsync(context.App(), reminder, overwrite, context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    private async Task GetReminderAsync(HttpContext context)
    {
        var (reminder, expiresAt) = await api.GetReminderAsync(context.App(), Key(context), context.Route("name"), context.RequestAborted);
        await DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("name", reminder.Name);
            writer.WriteString("dueTime", reminder.DueTime);
            writer.WriteString("period", reminder.Period);
            if (reminder.Ttl is { } ttl)
            {
                writer.WriteString("ttl", ttl);
            }

            if (expiresAt is { } moment)
            {
                writer.WriteString("expirationTime", StateHttp.Rfc3339(moment));
            }

            if (reminder.Data is { } data)
            {
                writer.WritePropertyName("data");
                writer.WriteRawValue(data);
            }

            writer.WriteString("actorID", reminder.Actor.Id);
            writer.WriteString("actorType", reminder.Actor.Type);
            writer.WriteEndObject();
        });
    }

    private async Task DeleteReminderAsync(HttpContext context)
    {
        var key = Key(context);
        await api.DeleteRemindersAsync(context.App(), key.Type, key.Id, context.Route("name"), context.RequestAborted);
        await DaprHttp.NoContent(context);
    }

    private static async Task<(ActorCallback Callback, bool Overwrite)> ReadCallbackAsync(HttpContext context)
    {
        using var body = await DaprHttp.ReadJsonAsync(context);
        var root = body.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw DaprError.Malformed("the body must be an object with dueTime or period");
        }

        var callback = new ActorCallback(
            Key(context), context.Route("name"), DaprHttp.ReadText(root, "dueTime") ?? "", DaprHttp.ReadText(root, "period") ?? "", DaprHttp.ReadText(root, "callback"),
            root.TryGetProperty("data", out var value) ? Encoding.UTF8.GetBytes(value.GetRawText()) : null, DaprHttp.ReadText(root, "ttl"))
        {
            OnFailure = FailurePolicy.Read(root),
        };
        return (callback, !root.TryGetProperty("overwrite", out var flag) || flag.ValueKind != JsonValueKind.False);
    }

    private static ActorKey Key(HttpContext context) => new(context.Route("type"), context.Route("id"));
}
