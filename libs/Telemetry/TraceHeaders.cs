using System.Diagnostics;

namespace RenderTrust.Telemetry;

/// <summary>
/// Carries the current trace on by W3C headers. Handlers between our own parts use this instead of HttpClient's span per request, which would only repeat
/// what the span of the other side says, and name a parent that nobody keeps.
/// </summary>
public static class TraceHeaders
{
    public const string TraceParent = "traceparent";
    public const string TraceState = "tracestate";

    public static void Add(HttpRequestMessage request)
    {
        if (Activity.Current is not { IdFormat: ActivityIdFormat.W3C } activity || request.Headers.Contains(TraceParent))
        {
            return;
        }

        request.Headers.TryAddWithoutValidation(TraceParent, activity.Id);
        if (activity.TraceStateString is { Length: > 0 } state)
        {
            request.Headers.TryAddWithoutValidation(TraceState, state);
        }
    }
}

/// <summary><see cref="TraceHeaders"/> for clients that are not ours to send with.</summary>
public sealed class TraceHeadersHandler() : DelegatingHandler(new SocketsHttpHandler { ActivityHeadersPropagator = null, UseProxy = false, UseCookies = false })
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        TraceHeaders.Add(request);
        return base.SendAsync(request, cancellationToken);
    }
}
