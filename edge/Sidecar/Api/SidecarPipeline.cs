using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.Invoke;
using RenderTrust.Sidecar.Rpc;

namespace RenderTrust.Sidecar.Api;

/// <summary>
/// The front of every endpoint: which app's port was called, may the caller call at all, is it an invocation;
/// and at the end, refusals in daprd's shape.
/// </summary>
internal sealed partial class SidecarPipeline(AppDirectory apps, SidecarTokens tokens, InvokeMiddleware invoke, GrpcProxy proxy, PeerEndpoint peers, ILogger<SidecarPipeline> logger)
{
    private readonly byte[]? apiToken = tokens.DaprApiToken is { } token ? Encoding.UTF8.GetBytes(token) : null;

    public Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        if (apps.ByPort(context.Connection.LocalPort) is not { } app)
        {
            // Until it is known whom the call is for, any app stands for the host.
            context.Features.Set(apps.Apps[0]);
            return GuardAsync(context, peers.HandleAsync);
        }

        context.Features.Set(app);
        var isGrpc = context.Connection.LocalPort == app.Definition.GrpcPort;
        var path = context.Request.Path.Value!;
        if (apiToken is not null && !IsHealthPath(path) && !HasToken(context))
        {
            return isGrpc ? GrpcProxy.RefuseAsync(context, 16, "invalid api token") : PlainAsync(context, 401, "invalid api token");
        }

        if (app.Configuration.Apis is { } apis && !apis.Allows(isGrpc || path.StartsWith("/v1.", StringComparison.Ordinal) ? path : "/v1.0/invoke", isGrpc))
        {
            return isGrpc
                ? GrpcProxy.RefuseAsync(context, 12, "requested endpoint is not available")
                : DaprHttp.WriteErrorAsync(context, 404, "ERR_NOT_FOUND", $"method {context.Request.Method} {path} is not available: the app's Configuration closes it (spec.api)");
        }

        if (isGrpc)
        {
            return GrpcProxy.NamedApp(context) is { } target
                ? proxy.HandleAsync(context, app, target)
                : next(context);
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = app.Definition.MaxBodyBytes;
        }

        if (InvokeMiddleware.IsInvoke(context))
        {
            return GuardAsync(context, c => invoke.InvokePathAsync(c, app));
        }

        if (!path.StartsWith("/v1.", StringComparison.Ordinal) && InvokeMiddleware.NamedApp(context) is { Length: > 0 } named)
        {
            return GuardAsync(context, c => invoke.InvokeNamedAsync(c, app, named));
        }

        return GuardAsync(context, next);
    }

    /// <summary>Routes that daprd has and we do not, and those that nobody has.</summary>
    public static Task UnknownAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        ReadOnlySpan<string> blocks = ["configuration", "lock", "unlock", "jobs", "crypto", "conversation", "bindings", "query"];
        foreach (var block in blocks)
        {
            if (path.StartsWith("/v1.0", StringComparison.Ordinal) && path.Contains($"/{block}", StringComparison.Ordinal))
            {
                return DaprHttp.WriteErrorAsync(context, DaprError.NotServed($"{context.Request.Method} {path}"));
            }
        }

        return DaprHttp.WriteErrorAsync(context, 404, "ERR_NOT_FOUND", $"method {context.Request.Method} {path} is not found");
    }

    private async Task GuardAsync(HttpContext context, RequestDelegate handle)
    {
        try
        {
            await handle(context);
        }
        catch (DaprError e) when (!context.Response.HasStarted)
        {
            await DaprHttp.WriteErrorAsync(context, e);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await DaprHttp.WriteErrorAsync(context, e.StatusCode, "ERR_MALFORMED_REQUEST", e.StatusCode == 413
                ? $"the body is larger than {context.App().Definition.MaxBodyBytes} bytes; raise maxBodySize of {context.App().Id} in dapr.yaml"
                : e.Message);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller has gone; there is nobody to answer.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            LogFailed(logger, e, context.App().Id, context.Request.Method, context.Request.Path);
            await DaprHttp.WriteErrorAsync(context, 500, "ERR_INTERNAL", e.Message);
        }
    }

    private static bool IsHealthPath(string path) => path.StartsWith("/v1.0/healthz", StringComparison.Ordinal);

    private bool HasToken(HttpContext context) =>
        context.Request.Headers.TryGetValue("dapr-api-token", out var given)
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given.ToString()), apiToken);

    private static Task PlainAsync(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain";
        return context.Response.WriteAsync(text, context.RequestAborted);
    }

    [LoggerMessage(LogLevel.Error, "App {AppId}: {Method} {Path} failed")]
    private static partial void LogFailed(ILogger logger, Exception exception, string appId, string method, string path);
}
