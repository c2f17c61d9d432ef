using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using RenderTrust.Sidecar.Actors;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Invoke;
using RenderTrust.Sidecar.Rpc;

namespace RenderTrust.Sidecar.Hosts;

/// <summary>What other hosts pass on to this one: invocations of its apps and calls of its actors. Nothing is passed on a second time.</summary>
internal sealed class PeerEndpoint(SidecarTokens tokens, AppDirectory apps, ActorRuntime actors, Forwarder forwarder, GrpcProxy proxy)
{
    private static readonly string[] CallerHeaders = ["dapr-caller-app-id", "dapr-callee-app-id", "dapr-caller-namespace"];

    private readonly byte[] secret = Encoding.UTF8.GetBytes(tokens.PeerSecret);

    public async Task HandleAsync(HttpContext context)
    {
        if (!CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(context.Request.Headers[PeerHeaders.Secret].ToString()), secret))
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }

        if (context.Request.Headers.TryGetValue(PeerHeaders.Callee, out var named))
        {
            await InvokeAsync(context, Uri.UnescapeDataString(named.ToString()));
            return;
        }

        await CallActorAsync(context);
    }

    private async Task InvokeAsync(HttpContext context, string appId)
    {
        if (apps.Find(appId) is not { HasPort: true } app)
        {
            Misdirected(context);
            return;
        }

        Begin(context, app);
        if (context.Request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) is true)
        {
            await proxy.PassAsync(context, context.Request.Headers["dapr-caller-app-id"].ToString(), Callee.Of(app));
            return;
        }

        if (app.SpeaksGrpc)
        {
            await DaprHttp.WriteErrorAsync(context, InvokeMiddleware.SpeaksGrpc(appId));
            return;
        }

        var outcome = await forwarder.ForwardAsync(context, Callee.Of(app), HttpMethod.Parse(context.Request.Method), Target(context), "invoke", headers =>
        {
            foreach (var name in CallerHeaders)
            {
                headers.TryAddWithoutValidation(name, context.Request.Headers[name].ToString());
            }
        });
        if (outcome is ForwardOutcome.Unreachable or ForwardOutcome.NotReached)
        {
            await DaprHttp.WriteErrorAsync(context, InvokeMiddleware.Unanswered(appId, app));
        }
    }

    private async Task CallActorAsync(HttpContext context)
    {
        // As ActorKey.Path writes it.
        var path = Target(context);
        if (path.Split('/', 5) is not ["", "actors", var type, var id, _])
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        var key = new ActorKey(Uri.UnescapeDataString(type), Uri.UnescapeDataString(id));
        var given = context.Request.Headers[ActorRuntime.ReentrancyHeader].ToString();
        using var turn = await actors.EnterHereAsync(key, given.Length == 0 ? null : given, context.RequestAborted);
        if (turn is null)
        {
            Misdirected(context);
            return;
        }

        Begin(context, turn.Callee.App!);
        var outcome = await forwarder.ForwardAsync(context, turn.Callee, HttpMethod.Put, path, $"call actor {key.Type} of",
            headers => ActorRuntime.AddTurn(headers, turn, given.Length == 0 ? null : given));
        if (outcome is ForwardOutcome.Unreachable or ForwardOutcome.NotReached)
        {
            await DaprHttp.WriteErrorAsync(context, ActorsHttp.Unanswered(turn.Callee));
        }
    }

    private static void Begin(HttpContext context, HostedApp app)
    {
        context.Features.Set(app);
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = app.Definition.MaxBodyBytes;
        }
    }

    private static void Misdirected(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status421MisdirectedRequest;
        context.Response.Headers[PeerHeaders.NotHere] = "true";
    }

    private static string Target(HttpContext context) => context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
}
