using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Auth;

/// <summary>Lets each proof pass once, on all replicas together. A store that does not answer lets nothing pass.</summary>
internal sealed class ReplayGuard(SidecarHttp sidecar, IConfiguration configuration, IOptions<EdgeAuthOptions> options) : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false }) { BaseAddress = sidecar.BaseAddress, Timeout = Timeout };

    public async Task<bool> IsFirstUseAsync(string keyThumbprint, string proofId, CancellationToken cancellationToken)
    {
        var store = options.Value.ReplayStore;
        var key = "dpop-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(keyThumbprint + "." + proofId)));
        try
        {
            using var response = await SendAsync(HttpMethod.Post, $"v1.0/state/{store}", FirstWrite(key), cancellationToken);
            if (response.IsSuccessStatusCode)
            {
                return true;
            }

            // First-write without an etag fails on a key that exists: that is the whole check. Only some stores say so with a 409; to others a
            // write that changes nothing is a 500, so the key itself is asked for.
            return response.StatusCode is HttpStatusCode.Conflict || await ExistsAsync(store, key, cancellationToken)
                ? false
                : throw new AppUnavailableException($"State store '{store}' answered {(int)response.StatusCode} to a first write: {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }
        catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new AppUnavailableException($"State store '{store}' could not be asked whether a proof was used: {exception.Message}", exception);
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task<bool> ExistsAsync(string store, string key, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, $"v1.0/state/{store}/{key}", content: null, cancellationToken);
        return response.StatusCode is HttpStatusCode.OK;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (configuration["DAPR_API_TOKEN"] is { Length: > 0 } token)
        {
            request.Headers.Add("dapr-api-token", token);
        }

        return await _http.SendAsync(request, cancellationToken);
    }

    private static ByteArrayContent FirstWrite(string key)
    {
        var keepSeconds = (int)DpopProofs.RememberFor.TotalSeconds + 10;
        object[] items =
        [
            new
            {
                key,
                value = 1,
                metadata = new Dictionary<string, string> { ["ttlInSeconds"] = keepSeconds.ToString(CultureInfo.InvariantCulture) },
                options = new { concurrency = "first-write", consistency = "strong" },
            },
        ];
        return new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(items, WireJson.Options)) { Headers = { ContentType = new("application/json") } };
    }
}
