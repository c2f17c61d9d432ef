using System.Text;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;

namespace RenderTrust.Sidecar.Invoke;

/// <summary>
/// Service invocation in its three forms: <c>/v1.0/invoke/{app}/method/{path}</c>, any path with a <c>dapr-app-id</c> header,
/// and any path with the app id as basic-auth user. It runs before routing because it is the hot path.
/// </summary>
internal sealed partial class InvokeMiddleware(HostDirectories hosts, Forwarder forwarder, ILogger<InvokeMiddleware> logger)
{
    private const string Prefix = "/v1.0/invoke/";
    private const string MethodPart = "/method/";

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
        if (slash <= 0 || !rest[slash..].StartsWith(MethodPart))
        {
            return DaprHttp.WriteErrorAsync(context, 404, "ERR_DIRECT_INVOKE",
                "failed getting app id either from the URL path or the header dapr-app-id");
        }

        var appId = Uri.UnescapeDataString(rest[..slash]);

        // Keeps the slash that ends "/method/": what follows is the app's own path.
        return InvokeAsync(context, caller, appId, rest[(slash + MethodPart.Length - 1)..].ToString());
    }

    public Task InvokeNamedAsync(HttpContext context, HostedApp caller, string appId) =>
        InvokeAsync(context, caller, appId, Target(context));

    private async Task InvokeAsync(HttpContext context, HostedApp caller, string appId, string pathAndQuery)
    {
        var candidates = hosts.Candidates(caller, appId);
        if (candidates.Count == 0)
        {
            await DaprHttp.WriteErrorAsync(context, 500, "ERR_DIRECT_INVOKE",
                $"failed to invoke, id: {appId}, err: no such app is hosted here; known apps: {hosts.KnownApps()}");
            return;
        }

        foreach (var callee in candidates)
        {
            if (callee.App is { SpeaksGrpc: true })
            {
                await DaprHttp.WriteErrorAsync(context, SpeaksGrpc(appId));
                return;
            }

            var outcome = await forwarder.ForwardAsync(context, callee, HttpMethod.Parse(context.Request.Method), pathAndQuery, "invoke", headers =>
            {
                headers.TryAddWithoutValidation("dapr-caller-app-id", caller.Id);
                headers.TryAddWithoutValidation("dapr-callee-app-id", callee.AppId);
                headers.TryAddWithoutValidation("dapr-caller-namespace", "default");
                if (callee.Peer is not null)
                {
                    headers.TryAddWithoutValidation(PeerHeaders.Callee, Uri.EscapeDataString(callee.AppId));
                }
            }, caller.Resilience.ForApp(callee.AppId), callee.Peer is null ? null : RefuseMisdirectedAsync);

            // Nothing has been sent, so that the next one can be asked; a host may just have died.
            if (outcome != ForwardOutcome.NotReached || callee == candidates[^1])
            {
                await ReportAsync(context, caller, callee, outcome);
                return;
            }
        }
    }

    public static DaprError SpeaksGrpc(string appId) => new(501, StatusCode.Unimplemented, "ERR_DIRECT_INVOKE",
        $"failed to invoke, id: {appId}, err: the app speaks gRPC; call its service on the sidecar's gRPC port with the metadata dapr-app-id");

    public static DaprError Unanswered(string appId, HostedApp callee) => new(500, StatusCode.Internal, "ERR_DIRECT_INVOKE",
        $"failed to invoke, id: {appId}, err: the app does not answer at {callee.Address} (it is {callee.State.Health})");

    // The app has left that host a moment ago. Part of the body may be gone with the call, so the caller must repeat it.
    private static async Task<bool> RefuseMisdirectedAsync(HttpContext context, HttpResponseMessage response)
    {
        if (!response.Headers.Contains(PeerHeaders.NotHere))
        {
            return false;
        }

        await DaprHttp.WriteErrorAsync(context, 500, "ERR_DIRECT_INVOKE", "failed to invoke: the app has just left the host that had it, call again");
        return true;
    }

    private async Task ReportAsync(HttpContext context, HostedApp caller, Callee callee, ForwardOutcome outcome)
    {
        switch (outcome)
        {
            case ForwardOutcome.Unreachable or ForwardOutcome.NotReached:
                LogUnreachable(logger, caller.Id, callee.AppId, callee.Address);
                await DaprHttp.WriteErrorAsync(context, callee.App is { } app ? Unanswered(callee.AppId, app) : new DaprError(500, StatusCode.Internal, "ERR_DIRECT_INVOKE",
                    $"failed to invoke, id: {callee.AppId}, err: the host at {callee.Address} that has the app does not answer"));
                break;
            case ForwardOutcome.TimedOut or ForwardOutcome.CircuitOpen:
                LogRefusedByPolicy(logger, caller.Id, callee.AppId, outcome);
                await DaprHttp.WriteErrorAsync(context, 500, "ERR_DIRECT_INVOKE", outcome == ForwardOutcome.TimedOut
                    ? $"failed to invoke, id: {callee.AppId}, err: timeout exceeded, raise it under spec.policies.timeouts of the Resiliency file"
                    : $"failed to invoke, id: {callee.AppId}, err: circuit breaker is open");
                break;
            case ForwardOutcome.BrokeOff:
                LogBrokeOff(logger, caller.Id, callee.AppId);
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
