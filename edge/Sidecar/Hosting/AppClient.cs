using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>The sidecar's tokens: one that callers show to us, one that we show to the apps.</summary>
internal sealed record SidecarTokens(string? DaprApiToken, string AppApiToken)
{
    /// <summary>What other hosts show to this one.</summary>
    public string PeerSecret { get; } = NewSecret();

    public static string NewSecret() => Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(24));
}

/// <summary>Calls to the apps. One pooled handler for everything: nothing is followed, decoded or remembered.</summary>
internal sealed class AppClient(SidecarTokens tokens) : IDisposable
{
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromSeconds(5);

    private readonly HttpMessageInvoker invoker = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = System.Net.DecompressionMethods.None,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        ConnectTimeout = ConnectLimit,
        EnableMultipleHttp2Connections = true,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(90),
        // Header bytes pass through unjudged, as Kestrel read them.
        RequestHeaderEncodingSelector = static (_, _) => System.Text.Encoding.UTF8,
        ResponseHeaderEncodingSelector = static (_, _) => System.Text.Encoding.UTF8,
    });

    public SidecarTokens Tokens => tokens;

    public HttpRequestMessage NewRequest(HostedApp app, HttpMethod method, string pathAndQuery)
    {
        var request = new HttpRequestMessage(method, RawUri(app.Address, pathAndQuery));
        request.Headers.TryAddWithoutValidation("dapr-api-token", tokens.AppApiToken);
        return request;
    }

    /// <summary>The same call, to the app or to the host that has it.</summary>
    public HttpRequestMessage NewRequest(Callee callee, HttpMethod method, string pathAndQuery)
    {
        if (callee.App is { } app)
        {
            return NewRequest(app, method, pathAndQuery);
        }

        var request = new HttpRequestMessage(method, RawUri(callee.Address, pathAndQuery))
        {
            Version = System.Net.HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.TryAddWithoutValidation(PeerHeaders.Secret, callee.Peer!.Address.Secret);
        return request;
    }

    /// <summary>The path as the caller wrote it: %2F must not turn into a slash on the way. What would end or split the request's first line is escaped.</summary>
    public static Uri RawUri(string address, string pathAndQuery)
    {
        if (pathAndQuery.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            pathAndQuery = string.Concat(System.Text.Encoding.UTF8.GetBytes(pathAndQuery).Select(b => b is >= (byte)'!' and <= (byte)'~' ? $"{(char)b}" : $"%{b:X2}"));
        }

        return Uri.TryCreate(address + pathAndQuery, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }, out var uri)
            ? uri
            : throw Api.DaprError.Malformed("the method's path cannot be part of an address: shorten it, and write it without a fragment");
    }

    public static void AddTrace(HttpRequestMessage request, string? traceParent, string? traceState, double samplingRate = 1)
    {
        request.Headers.TryAddWithoutValidation("traceparent", string.IsNullOrEmpty(traceParent) ? CloudEvent.NewTraceParent(samplingRate) : traceParent);
        if (!string.IsNullOrEmpty(traceState))
        {
            request.Headers.TryAddWithoutValidation("tracestate", traceState);
        }
    }

    /// <summary>An app's own words for a message, whatever character set it claims.</summary>
    public static async Task<string> ReadTextAsync(HttpResponseMessage response, CancellationToken cancellationToken) =>
        System.Text.Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(cancellationToken));

    /// <exception cref="HttpRequestException">The app cannot be reached, also when it does not take the connection in time.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await invoker.SendAsync(request, cancellationToken);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            // Nobody wished the call to end, so it must not look as if somebody had: loops end by that. Not called a connection error,
            // which would be tried again at once: it has taken its time already.
            throw new HttpRequestException($"the connection was not taken within {ConnectLimit.TotalSeconds:0} s", e);
        }
    }

    public void Dispose() => invoker.Dispose();
}
