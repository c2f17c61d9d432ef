using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults;

/// <summary>Calls through the sidecar.</summary>
public sealed class SidecarOptions
{
    public const string Section = "Sidecar";

    /// <summary>Longest wait for an answer, unless the call says otherwise. Default 10 s; after it the outcome is unknown.</summary>
    [Range(1, 300)]
    public int TimeoutSeconds { get; set; } = 10;
}

/// <summary>The one pooled HTTP client to this app's own sidecar.</summary>
public sealed class SidecarHttp : IDisposable
{
    private readonly HttpClient client;

    public SidecarHttp(IConfiguration configuration, IOptions<SidecarOptions> options)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(options);
        var endpoint = configuration["DAPR_HTTP_ENDPOINT"];
        BaseAddress = new Uri(string.IsNullOrEmpty(endpoint) ? $"http://127.0.0.1:{configuration["DAPR_HTTP_PORT"] ?? "3500"}/" : endpoint.TrimEnd('/') + "/");
        Timeout = TimeSpan.FromSeconds(options.Value.TimeoutSeconds);
        client = new HttpClient(new SocketsHttpHandler
        {
            // The sidecar is on loopback: a connection is there at once or the sidecar is down.
            ConnectTimeout = TimeSpan.FromSeconds(2),
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(2),
            UseProxy = false,
            AllowAutoRedirect = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
        })
        {
            BaseAddress = BaseAddress,
            // Every call has its own limit, so that a long poll and a quick question can share the pool.
            Timeout = System.Threading.Timeout.InfiniteTimeSpan,
        };
        if (configuration["DAPR_API_TOKEN"] is { Length: > 0 } token)
        {
            client.DefaultRequestHeaders.Add("dapr-api-token", token);
        }
    }

    public Uri BaseAddress { get; }

    internal TimeSpan Timeout { get; }

    /// <summary>Sends and reads the whole body. A lost connection or a timeout after sending began is an unknown outcome, never a refusal.</summary>
    internal async Task<(HttpResponseMessage Response, byte[] Body)> SendAsync(HttpRequestMessage request, string what, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout ?? Timeout);
        TraceHeaders.Add(request);
        try
        {
            var response = await client.SendAsync(request, HttpCompletionOption.ResponseContentRead, limit.Token);
            return (response, await response.Content.ReadAsByteArrayAsync(limit.Token));
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new UnknownOutcomeException(
                $"{what}: no answer within {(timeout ?? Timeout).TotalSeconds:0.#} s, so whether it took effect is not known. Ask again with the same id; raise Sidecar:TimeoutSeconds if this is usual.", exception);
        }
        catch (HttpRequestException exception) when (exception.HttpRequestError == HttpRequestError.ConnectionError)
        {
            throw new AppUnavailableException($"{what}: the sidecar at {BaseAddress} does not accept connections. Check that it runs and that DAPR_HTTP_PORT names its port.", exception);
        }
        catch (HttpRequestException exception)
        {
            throw new UnknownOutcomeException($"{what}: the connection was lost, so whether it took effect is not known. Ask again with the same id.", exception);
        }
    }

    public void Dispose() => client.Dispose();
}
