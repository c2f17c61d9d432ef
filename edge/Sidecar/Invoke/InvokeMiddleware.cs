using System.Text;
using Microsoft.AspNetCore.Http.Features;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Invoke;

/// <summary>
/// Service invocation in its three forms: <c>/v1.0/invoke/{app}/method/{path}</c>, any path with a <c>dapr-app-id</c> header,
/// and any path with the app id as basic-auth user. It runs before routing because it is the hot path.
/// </summary>
internal sealed partial class InvokeMiddleware(AppDirectory apps, Forwarder forwarder, ILogger<InvokeMiddleware> logger)
{
    private const string Prefix = "/v1.0/invoke/";
    private const string Method = "/method/";

    public static bool IsInvoke(HttpContext context) => context.Request.Path.Value!.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>The app named outside of the path, if one is.</summary>
    public static string? NamedApp(HttpContext context)
    {
        if (context.Request.Headers.TryGetValue("dapr-app-id", out var header))
        {
            return header.ToString();
        }

        var authorization = context.Request.Headers.Authorization.ToString();
        if (!authorization.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var bytes = new byte[authorization.Length];
        if (!Convert.TryFromBase64String(authorization["Basic ".Length..].Trim(), bytes, out var count))
        {
            return null;
        }

        var pair = Encoding.UTF8.GetString(bytes, 0, count);
        return pair.StartsWith("dapr-app-id:", StringComparison.Ordinal) ? pair["dapr-app-id:".Length..] : null;
    }

    public Task InvokePathAsync(HttpContext context, HostedApp caller)
    {
        var target = Target(context);
        if (!target.StartsWith(Prefix, StringComparison.Ordinal))
        {
            target = Resolved(context);
        }

        var rest = target.AsSpan(Prefix.Length);
        var slash = rest.IndexOf('/');
        if (slash <= 0 || !rest[slash..].StartsWith(Method))
        {
            return DaprHttp.WriteErrorAsync(context, 404, "ERR_DIRECT_INVOKE",
                "failed getting app id either from the URL path or the header dapr-app-id");
        }

        var appId = Uri.UnescapeDataString(rest[..slash]);

        // Keeps the slash that ends "/method/": what follows is the app's own path.
        return InvokeAsync(context, caller, appId, rest[(slash + Method.Length - 1)..].ToString());
    }

    public Task InvokeNamedAsync(HttpContext context, HostedApp caller, string appId) =>
        InvokeAsync(context, caller, appId, Target(context));

    private async Task InvokeAsync(HttpContext context, HostedApp caller, string appId, string pathAndQuery)
    {
        if (apps.Find(appId) is not { HasPort: true } callee)
        {
            await DaprHttp.WriteErrorAsync(context, 500, "ERR_DIRECT_INVOKE",
                $"failed to invoke, id: {appId}, err: no such app is hosted here; known apps: {string.Join(", ", apps.Apps.Select(app => app.Id))}");
            return;
        }

        if (callee.SpeaksGrpc)
        {
            await DaprHttp.WriteErrorAsync(context, 501, "ERR_DIRECT_INVOKE",
                $"failed to invoke, id: {appId}, err: the app speaks gRPC; call its service on the sidecar's gRPC port with the metadata dapr-app-id");
            return;
        }

        var outcome = await forwarder.ForwardAsync(context, callee, HttpMethod.Parse(context.Request.Method), pathAndQuery, "invoke", headers =>
        {
            headers.TryAddWithoutValidation("dapr-caller-app-id", caller.Id);
            headers.TryAddWithoutValidation("dapr-callee-app-id", callee.Id);
            headers.TryAddWithoutValidation("dapr-caller-namespace", "default");
        }, caller.Resilience.ForApp(callee.Id));
        switch (outcome)
        {
            case ForwardOutcome.Unreachable:
                LogUnreachable(logger, caller.Id, callee.Id, callee.Address);
                await DaprHttp.WriteErrorAsync(context, 500, "ERR_DIRECT_INVOKE",
                    $"failed to invoke, id: {appId}, err: the app does not answer at {callee.Address} (it is {callee.State.Health})");
                break;
            case ForwardOutcome.TimedOut or ForwardOutcome.CircuitOpen:
                LogRefusedByPolicy(logger, caller.Id, callee.Id, outcome);
                await DaprHttp.WriteErrorAsync(context, 500, "ERR_DIRECT_INVOKE", outcome == ForwardOutcome.TimedOut
                    ? $"failed to invoke, id: {appId}, err: timeout exceeded, raise it under spec.policies.timeouts of the Resiliency file"
                    : $"failed to invoke, id: {appId}, err: circuit breaker is open");
                break;
            case ForwardOutcome.BrokeOff:
                LogBrokeOff(logger, caller.Id, callee.Id);
                break;
            default:
                break;
        }
    }

    /// <summary>
    /// The path and query as sent. Only a path with dot segments, which a proxy and the app could read differently,
    /// is taken in the form that Kestrel has already resolved.
    /// </summary>
    private static string Target(HttpContext context)
    {
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var isPlain = raw.StartsWith('/')
            && !raw.Contains("/.", StringComparison.Ordinal)
            && !raw.Contains("%2e", StringComparison.OrdinalIgnoreCase)
            && !raw.Contains('\\', StringComparison.Ordinal);
        return isPlain ? raw : Resolved(context);
    }

    private static string Resolved(HttpContext context) =>
        context.Request.Path.ToUriComponent() + context.Request.QueryString.ToUriComponent();

    [LoggerMessage(LogLevel.Warning, "Invoke {Caller} -> {Callee}: no answer at {Address}")]
    private static partial void LogUnreachable(ILogger logger, string caller, string callee, string address);

    [LoggerMessage(LogLevel.Warning, "Invoke {Caller} -> {Callee}: ended by the target's resiliency policy ({Outcome})")]
    private static partial void LogRefusedByPolicy(ILogger logger, string caller, string callee, ForwardOutcome outcome);

    [LoggerMessage(LogLevel.Warning, "Invoke {Caller} -> {Callee}: the answer broke off, the caller's connection was cut")]
    private static partial void LogBrokeOff(ILogger logger, string caller, string callee);
}
