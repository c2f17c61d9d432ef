using System.Net.Http.Headers;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>InvokeService: a call over gRPC of an app that speaks HTTP.</summary>
internal sealed partial class DaprService
{
    /// <summary>Told beside the answer, since the gRPC status says less.</summary>
    private const string StatusTrailer = "dapr-http-status";

    public Task<InvokeResponse> InvokeService(InvokeServiceRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var services = context.GetHttpContext().RequestServices;
        if (request.Message is not { } message || request.Id.Length == 0)
        {
            throw DaprError.Malformed("id and message are required");
        }

        var callee = FindCallee(services.GetRequiredService<HostDirectories>(), app, request.Id);
        var client = services.GetRequiredService<AppClient>();
        async Task<HttpResponseMessage> SendAsync(CancellationToken token)
        {
            using var call = ToHttp(client, app, callee, message, context.RequestHeaders);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(token, callee.Gone);
            try
            {
                return await client.SendAsync(call, limit.Token);
            }
            catch (OperationCanceledException e) when (callee.Gone.IsCancellationRequested && !token.IsCancellationRequested)
            {
                throw new HttpRequestException($"the host at {callee.Address} that had the app is gone", e);
            }
        }

        try
        {
            using var response = app.Resilience.ForApp(callee.AppId) is { } policy
                ? await policy.ExecuteAsync(SendAsync, context.CancellationToken)
                : await SendAsync(context.CancellationToken);
            var body = await response.Content.ReadAsByteArrayAsync(context.CancellationToken);
            context.ResponseTrailers.Add(StatusTrailer, $"{(int)response.StatusCode}");
            return response.IsSuccessStatusCode
                ? new InvokeResponse { Data = new Any { Value = UnsafeByteOperations.UnsafeWrap(body) }, ContentType = response.Content.Headers.ContentType?.ToString() ?? "" }
                : throw Refusal.Of(StatusOf((int)response.StatusCode), System.Text.Encoding.UTF8.GetString(body));
        }
        catch (Exception e) when (e is HttpRequestException or TimeoutException or CircuitOpenException)
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_DIRECT_INVOKE", $"failed to invoke, id: {request.Id}, err: {e.Message}");
        }
    });

    private static Callee FindCallee(HostDirectories hosts, HostedApp caller, string appId)
    {
        if (hosts.Candidates(caller, appId) is not [var callee, ..])
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_DIRECT_INVOKE", $"failed to invoke, id: {appId}, err: no such app is hosted here");
        }

        return callee.App is not { SpeaksGrpc: true } ? callee : throw new DaprError(501, StatusCode.Unimplemented, "ERR_DIRECT_INVOKE",
            $"failed to invoke, id: {appId}, err: the app speaks gRPC and is not called by OnInvoke here; call its own service with the metadata dapr-app-id");
    }

    private static HttpRequestMessage ToHttp(AppClient client, HostedApp caller, Callee callee, InvokeRequest message, Metadata headers)
    {
        var verb = message.HttpExtension?.Verb is { } given and not HTTPExtension.Types.Verb.None ? HttpMethod.Parse(given.ToString().ToUpperInvariant()) : HttpMethod.Post;
        var query = message.HttpExtension?.Querystring is { Length: > 0 } text ? "?" + text.TrimStart('?') : "";
        var request = client.NewRequest(callee, verb, "/" + message.Method.TrimStart('/') + query);
        if (message.Data is { Value.Length: > 0 } data)
        {
            request.Content = new ReadOnlyMemoryContent(data.Value.Memory);
            request.Content.Headers.ContentType = MediaTypeHeaderValue.TryParse(message.ContentType, out var type) ? type : new MediaTypeHeaderValue("application/json");
        }

        foreach (var header in headers)
        {
            // Only this sidecar says who calls; HTTP/2's own headers and gRPC's mean nothing to the app.
            if (!header.IsBinary && !header.Key.StartsWith("dapr-", StringComparison.Ordinal) && !header.Key.StartsWith("grpc-", StringComparison.Ordinal) && !header.Key.StartsWith("rendertrust-", StringComparison.Ordinal)
                && header.Key is not ("content-type" or "te" or "host" or "content-length" or "traceparent" or "tracestate"))
            {
                request.Headers.TryAddWithoutValidation(header.Key, header.Value);
            }
        }

        request.Headers.TryAddWithoutValidation("dapr-caller-app-id", caller.Id);
        request.Headers.TryAddWithoutValidation("dapr-callee-app-id", callee.AppId);
        if (callee.Peer is not null)
        {
            request.Headers.TryAddWithoutValidation(PeerHeaders.Callee, Uri.EscapeDataString(callee.AppId));
        }

        request.Headers.TryAddWithoutValidation("dapr-caller-namespace", "default");
        AppClient.AddTrace(request, headers.GetValue("traceparent"), headers.GetValue("tracestate"), caller.Configuration.SamplingRate);
        return request;
    }

    private static StatusCode StatusOf(int http) => http switch
    {
        400 => StatusCode.Internal,
        401 => StatusCode.Unauthenticated,
        403 => StatusCode.PermissionDenied,
        404 => StatusCode.NotFound,
        408 => StatusCode.Cancelled,
        409 => StatusCode.AlreadyExists,
        429 => StatusCode.ResourceExhausted,
        501 => StatusCode.Unimplemented,
        503 => StatusCode.Unavailable,
        504 => StatusCode.DeadlineExceeded,
        _ => StatusCode.Unknown,
    };
}
