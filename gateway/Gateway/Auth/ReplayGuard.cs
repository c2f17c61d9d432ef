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
        using var request = new HttpRequestMessage(HttpMethod.Post, $"v1.0/state/{store}") { Content = FirstWrite(keyThumbprint, proofId) };
        if (configuration["DAPR_API_TOKEN"] is { Length: > 0 } token)
        {
            request.Headers.Add("dapr-api-token", token);
        }

        try
        {
            using var response = await _http.SendAsync(request, cancellationToken);
            if (response.IsSuccessStatusCode)
            {
                return true;
            }

            // First-write without an etag fails on a key that exists: that is the whole check.
            return response.StatusCode is HttpStatusCode.Conflict
                ? false
                : throw new AppUnavailableException($"State store '{store}' answered {(int)response.StatusCode} to a first write: {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }
        catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new AppUnavailableException($"State store '{store}' could not be asked whether a proof was used: {exception.Message}", exception);
        }
    }

    public void Dispose() => _http.Dispose();

    private static ByteArrayContent FirstWrite(string keyThumbprint, string proofId)
    {
        var key = "dpop-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(keyThumbprint + "." + proofId)));
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
