using System.Buffers;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.Invoke;

/// <summary>How a forwarded call ended, when it did not end with the app's own answer.</summary>
internal enum ForwardOutcome
{
    Answered = 0,
    Unreachable = 1,
    CallerGone = 2,

    /// <summary>The app's answer broke off after its headers had been passed on; the connection was cut.</summary>
    BrokeOff = 3,

    /// <summary>The target's time limit ran out on the last try.</summary>
    TimedOut = 4,

    /// <summary>The target's circuit breaker is open.</summary>
    CircuitOpen = 5,

    /// <summary>Nothing listens there: nothing of the call was sent.</summary>
    NotReached = 6,
}

/// <summary>
/// Carries one HTTP call to an app and its answer back, both bodies as streams. Every request of the platform crosses
/// this, so it copies headers once, buffers nothing and makes a span only for a trace that is kept.
/// </summary>
internal sealed class Forwarder(AppClient client)
{
    private const int BufferBytes = 16 * 1024;
    private const int ConnectAttemptsMax = 4;
    private static readonly TimeSpan ConnectRetryDelay = TimeSpan.FromSeconds(1);

    // Hop-by-hop headers, and those that only this sidecar may say.
    private static readonly HashSet<string> NotForwarded = new(StringComparer.OrdinalIgnoreCase)
    {
        HeaderNames.Connection, HeaderNames.KeepAlive, HeaderNames.ProxyAuthenticate, HeaderNames.ProxyAuthorization, HeaderNames.ProxyConnection,
        HeaderNames.TE, HeaderNames.Trailer, HeaderNames.TransferEncoding, HeaderNames.Upgrade, HeaderNames.Host, HeaderNames.ContentLength,
        HeaderNames.Expect, PeerHeaders.Secret, PeerHeaders.Callee, PeerHeaders.ActorToken, "dapr-api-token", "dapr-app-id", "dapr-caller-app-id", "dapr-caller-namespace", "dapr-callee-app-id",
    };

    /// <param name="verb">What the call is, for its span.</param>
    /// <param name="policy">The target's resiliency; null for none. A body is kept in memory where it may have to be sent again.</param>
    /// <param name="answerInstead">May look at the app's answer before anything of it is passed on, and answer itself: then true.</param>
    public async Task<ForwardOutcome> ForwardAsync(
        HttpContext context, Callee target, HttpMethod method, string pathAndQuery, string verb, Action<HttpRequestHeaders>? addHeaders, ResiliencePolicy? policy = null,
        Func<HttpContext, HttpResponseMessage, Task<bool>>? answerInstead = null)
    {
        using var limit = target.Peer is null ? null : CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, target.Gone);
        var cancellationToken = limit?.Token ?? context.RequestAborted;
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize < context.Request.ContentLength)
        {
            throw new BadHttpRequestException("Request body too large.", StatusCodes.Status413PayloadTooLarge);
        }

        using var span = SidecarTrace.Begin(verb, target.AppId, context.Request.Headers["traceparent"], context.Request.Headers["tracestate"]);
        HttpResponseMessage response;
        try
        {
            response = policy is null
                ? await SendAsync(context, target, method, pathAndQuery, span, addHeaders, null, cancellationToken)
                : await SendUnderAsync(policy, context, target, method, pathAndQuery, span, addHeaders, cancellationToken);
        }
        catch (HttpRequestException e) when (!context.RequestAborted.IsCancellationRequested)
        {
            span?.SetStatus(ActivityStatusCode.Error);

            // The caller's body was at fault (too large, malformed chunks), not the app.
            return Find<BadHttpRequestException>(e) is { } refused ? throw refused
                : e.HttpRequestError == HttpRequestError.ConnectionError ? ForwardOutcome.NotReached : ForwardOutcome.Unreachable;
        }
        catch (OperationCanceledException)
        {
            return context.RequestAborted.IsCancellationRequested ? ForwardOutcome.CallerGone : ForwardOutcome.Unreachable;
        }
        catch (Exception e) when (e is TimeoutException or CircuitOpenException)
        {
            span?.SetStatus(ActivityStatusCode.Error);
            return e is TimeoutException ? ForwardOutcome.TimedOut : ForwardOutcome.CircuitOpen;
        }

        using (response)
        {
            span?.SetTag("http.response.status_code", (int)response.StatusCode);
            if (answerInstead is not null && await answerInstead(context, response))
            {
                return ForwardOutcome.Answered;
            }

            CopyHead(response, context.Response);
            return await CopyBodyAsync(context, response, cancellationToken);
        }
    }

    private async Task<HttpResponseMessage> SendUnderAsync(
        ResiliencePolicy policy, HttpContext context, Callee target, HttpMethod method, string pathAndQuery, Activity? span, Action<HttpRequestHeaders>? addHeaders,
        CancellationToken cancellationToken)
    {
        var kept = policy.Retries ? await DaprHttp.ReadBodyAsync(context) : null;
        return await policy.ExecuteAsync(token => SendAsync(context, target, method, pathAndQuery, span, addHeaders, kept, token), cancellationToken);
    }

    /// <param name="kept">The whole body when it may have to be sent again; null streams it, and then only connecting is tried again.</param>
    private async Task<HttpResponseMessage> SendAsync(
        HttpContext context, Callee target, HttpMethod method, string pathAndQuery, Activity? span, Action<HttpRequestHeaders>? addHeaders, byte[]? kept,
        CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            // Not disposed: the handler owns it until the answer's body has been read.
            var request = client.NewRequest(target, method, pathAndQuery);
            CopyHead(context, request, span, kept);
            addHeaders?.Invoke(request.Headers);
            try
            {
                return await client.SendAsync(request, cancellationToken);
            }
            catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ConnectionError && attempt < ConnectAttemptsMax && kept is null
                && target.App is { State.Health: not AppHealth.Stopped })
            {
                // daprd tries an unreachable service three more times, a second apart. Nothing of the body has been sent
                // when connecting failed, so it is still there to send; and an app that restarts is back within that time.
                await Task.Delay(ConnectRetryDelay, target.App!.Time, cancellationToken);
            }
        }
    }

    private static T? Find<T>(Exception? exception) where T : Exception
    {
        while (exception is not null and not T)
        {
            exception = exception.InnerException;
        }

        return exception as T;
    }

    private static void CopyHead(HttpContext context, HttpRequestMessage request, Activity? span, byte[]? kept)
    {
        if (kept is { Length: > 0 })
        {
            request.Content = new ByteArrayContent(kept);
        }
        else if (kept is null && context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody is true)
        {
            request.Content = new RequestBody(context.Request);
        }
        else if (context.Request.ContentLength is 0 || context.Request.ContentType is not null)
        {
            request.Content = new ByteArrayContent([]);
        }

        foreach (var (name, values) in context.Request.Headers)
        {
            if (NotForwarded.Contains(name) || (span is not null && name.Equals("traceparent", StringComparison.OrdinalIgnoreCase)))
            {
                continue;
            }

            if (values.Count == 1)
            {
                if (!request.Headers.TryAddWithoutValidation(name, values[0]))
                {
                    request.Content?.Headers.TryAddWithoutValidation(name, values[0]);
                }
            }
            else if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        if (span is not null)
        {
            request.Headers.TryAddWithoutValidation("traceparent", span.Id);
        }
        else if (!context.Request.Headers.ContainsKey("traceparent"))
        {
            AppClient.AddTrace(request, null, null, context.App().Configuration.SamplingRate);
        }
    }

    private static void CopyHead(HttpResponseMessage source, HttpResponse target)
    {
        target.StatusCode = (int)source.StatusCode;
        Copy(source.Headers.NonValidated, target.Headers);
        Copy(source.Content.Headers.NonValidated, target.Headers);

        static void Copy(HttpHeadersNonValidated from, IHeaderDictionary to)
        {
            foreach (var (name, values) in from)
            {
                if (name.Equals(HeaderNames.TransferEncoding, StringComparison.OrdinalIgnoreCase)
                    || name.Equals(HeaderNames.Connection, StringComparison.OrdinalIgnoreCase)
                    || name.Equals(HeaderNames.KeepAlive, StringComparison.OrdinalIgnoreCase))
                {
                    continue;
                }

                to[name] = values.Count == 1 ? values.ToString() : new Microsoft.Extensions.Primitives.StringValues([.. values]);
            }
        }
    }

    private static async Task<ForwardOutcome> CopyBodyAsync(HttpContext context, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var from = await response.Content.ReadAsStreamAsync(cancellationToken);
            var to = context.Response.Body;
            var headSent = false;
            while (true)
            {
                var reading = from.ReadAsync(buffer, cancellationToken);
                if (!headSent && !reading.IsCompleted)
                {
                    // The app has answered but its body is still to come (server-sent events): the caller hears the head now.
                    await context.Response.StartAsync(cancellationToken);
                    await to.FlushAsync(cancellationToken);
                }

                headSent = true;
                var count = await reading;
                if (count == 0)
                {
                    return ForwardOutcome.Answered;
                }

                await to.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException)
        {
            if (context.RequestAborted.IsCancellationRequested)
            {
                return ForwardOutcome.CallerGone;
            }

            // A clean end would make a broken answer look whole.
            context.Abort();
            return ForwardOutcome.BrokeOff;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>The caller's body, pumped as it comes.</summary>
    private sealed class RequestBody : HttpContent
    {
        private readonly HttpRequest request;

        public RequestBody(HttpRequest request)
        {
            this.request = request;
            if (request.ContentLength is { } length)
            {
                Headers.ContentLength = length;
            }
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            var reader = request.BodyReader;
            while (true)
            {
                var result = await reader.ReadAsync(cancellationToken);
                foreach (var segment in result.Buffer)
                {
                    await stream.WriteAsync(segment, cancellationToken);
                }

                reader.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    return;
                }

                await stream.FlushAsync(cancellationToken);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = request.ContentLength ?? 0;
            return request.ContentLength is not null;
        }
    }
}
