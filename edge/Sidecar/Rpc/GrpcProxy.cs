using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http.Features;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>
/// Carries a call of any gRPC service to the app that the metadata <c>dapr-app-id</c> names, and its answer back: frames and trailers pass
/// as they are, in both directions at once, so every shape of call works without its protos.
/// </summary>
internal sealed partial class GrpcProxy(HostDirectories hosts, SidecarTokens tokens, ILogger<GrpcProxy> logger) : IDisposable
{
    private const int Unimplemented = 12;
    private const int Unavailable = 14;

    // What only this sidecar says, and what belongs to one connection.
    private static readonly HashSet<string> NotForwarded = new(StringComparer.OrdinalIgnoreCase)
    {
        PeerHeaders.Secret, PeerHeaders.Callee, PeerHeaders.ActorToken, "dapr-api-token", "dapr-app-id", "dapr-caller-app-id", "dapr-callee-app-id", "dapr-caller-namespace", "host", "connection", "transfer-encoding", "content-length", "te",
    };

    private readonly HttpMessageInvoker invoker = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        EnableMultipleHttp2Connections = true,
        ConnectTimeout = TimeSpan.FromSeconds(5),
    });

    /// <summary>Dapr's own services are served here, whatever the metadata says.</summary>
    public static string? NamedApp(HttpContext context) =>
        context.Request.Headers.TryGetValue("dapr-app-id", out var appId)
        && !context.Request.Path.StartsWithSegments("/dapr.proto.runtime.v1.Dapr") && !context.Request.Path.StartsWithSegments("/TaskHubSidecarService")
            ? appId.ToString()
            : null;

    /// <summary>Tries the first only: the messages of a stream cannot be sent twice.</summary>
    public Task HandleAsync(HttpContext context, HostedApp caller, string appId) =>
        hosts.Candidates(caller, appId) is [var callee, ..]
            ? PassAsync(context, caller.Id, callee)
            : RefuseAsync(context, Unavailable, $"failed to invoke, id: {appId}, err: no such app is hosted here");

    /// <param name="callerId">The app that calls, here or at another host.</param>
    public async Task PassAsync(HttpContext context, string callerId, Callee callee)
    {
        if (callee.App is { SpeaksGrpc: false } app)
        {
            await RefuseAsync(context, Unimplemented,
                $"failed to invoke, id: {app.Id}, err: the app speaks {app.Definition.Protocol}; say appProtocol: grpc if it serves {context.Request.Path}");
            return;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            // A stream has no size; gRPC limits its messages itself.
            size.MaxRequestBodySize = null;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, callee.Gone);
        try
        {
            using var request = NewRequest(context, callerId, callee);
            using var response = await invoker.SendAsync(request, limit.Token);
            if (response.Headers.Contains(PeerHeaders.NotHere))
            {
                await RefuseAsync(context, Unavailable, $"failed to invoke, id: {callee.AppId}, err: the app has just left the host that had it, call again");
                return;
            }

            await CopyAsync(response, context, limit.Token);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            if (context.RequestAborted.IsCancellationRequested)
            {
                return;
            }

            LogFailed(logger, callerId, callee.AppId, context.Request.Path, e.Message);
            if (context.Response.HasStarted)
            {
                // A clean end would make a broken answer look whole.
                context.Abort();
                return;
            }

            await RefuseAsync(context, Unavailable, $"failed to invoke, id: {callee.AppId}, err: {e.Message}");
        }
    }

    public void Dispose() => invoker.Dispose();

    /// <summary>In gRPC's own words: the call itself has worked, its status says that it did not.</summary>
    public static Task RefuseAsync(HttpContext context, int status, string text)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = $"{status}";
        context.Response.Headers["grpc-message"] = Uri.EscapeDataString(text);
        return Task.CompletedTask;
    }

    private HttpRequestMessage NewRequest(HttpContext context, string callerId, Callee callee)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, AppClient.RawUri(callee.Address, context.Request.Path.ToUriComponent()))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new Body(context.Request),
        };
        foreach (var (name, values) in context.Request.Headers)
        {
            if (!name.StartsWith(':') && !NotForwarded.Contains(name) && !request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
            {
                request.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        if (callee.Peer is { } peer)
        {
            request.Headers.TryAddWithoutValidation(PeerHeaders.Secret, peer.Address.Secret);
            request.Headers.TryAddWithoutValidation(PeerHeaders.Callee, Uri.EscapeDataString(callee.AppId));
        }
        else
        {
            request.Headers.TryAddWithoutValidation("dapr-api-token", tokens.AppApiToken);
        }

        request.Headers.TryAddWithoutValidation("dapr-caller-app-id", callerId);
        request.Headers.TryAddWithoutValidation("dapr-callee-app-id", callee.AppId);
        request.Headers.TryAddWithoutValidation("dapr-caller-namespace", "default");
        if (!context.Request.Headers.ContainsKey("traceparent"))
        {
            request.Headers.TryAddWithoutValidation("traceparent", CloudEvent.NewTraceParent(context.App().Configuration.SamplingRate));
        }

        return request;
    }

    private static async Task CopyAsync(HttpResponseMessage from, HttpContext context, CancellationToken cancellationToken)
    {
        context.Response.StatusCode = (int)from.StatusCode;
        foreach (var (name, values) in from.Headers.NonValidated.Concat(from.Content.Headers.NonValidated))
        {
            context.Response.Headers[name] = new([.. values]);
        }

        if (from.Headers.NonValidated.Contains("grpc-status"))
        {
            // A refusal without a message is a head alone.
            return;
        }

        // The head goes at once: a stream may say nothing for hours.
        await context.Response.StartAsync(context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        await using var body = await from.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = new byte[16 * 1024];
        int count;
        while ((count = await body.ReadAsync(buffer, cancellationToken)) > 0)
        {
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
            await context.Response.Body.FlushAsync(cancellationToken);
        }

        foreach (var (name, values) in from.TrailingHeaders.NonValidated)
        {
            context.Response.AppendTrailer(name, new([.. values]));
        }
    }

    [LoggerMessage(LogLevel.Warning, "gRPC {Caller} -> {Callee}: {Path} failed ({Cause})")]
    private static partial void LogFailed(ILogger logger, string caller, string callee, string path, string cause);

    /// <summary>The caller's messages, passed on as they come.</summary>
    private sealed class Body(HttpRequest request) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            // Sent before the first message: a caller may wait for the answer's head before it says anything.
            await stream.FlushAsync(cancellationToken);
            while (true)
            {
                var result = await request.BodyReader.ReadAsync(cancellationToken);
                foreach (var segment in result.Buffer)
                {
                    await stream.WriteAsync(segment, cancellationToken);
                }

                request.BodyReader.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    return;
                }

                await stream.FlushAsync(cancellationToken);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
