using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Options;
using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Relay;

/// <summary>The hub refuses this lease's blobs for good: expired, revoked or not part of it.</summary>
internal sealed class BlobRefusedException(string message) : Exception(message);

/// <summary>Fetches and uploads sealed blobs at the hub under a lease token. Bytes are never trusted: callers check hashes.</summary>
internal sealed class BlobClient(HttpClient http, IOptions<AgentOptions> options, TimeProvider time)
{
    private static readonly TimeSpan RetryWait = TimeSpan.FromMilliseconds(300);

    /// <summary>Enough for a lost connection. What fails longer stays in the outbox, whose other results must not wait for it.</summary>
    private static readonly TimeSpan UploadRetryLimit = TimeSpan.FromSeconds(2);

    /// <summary>Opens a blob for reading. <paramref name="read"/> may run again from the start after a lost connection.</summary>
    public Task<T> ReadAsync<T>(string sha256, string token, Func<Stream, CancellationToken, Task<T>> read, CancellationToken cancellationToken) =>
        RetryAsync(async () =>
        {
            using var request = Request(HttpMethod.Get, sha256, token);
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            await RequireSuccessAsync(response, sha256, cancellationToken);
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            return await read(stream, cancellationToken);
        }, TimeSpan.FromSeconds(options.Value.BlobRetrySeconds), cancellationToken);

    public Task UploadAsync(string sha256, string file, string token, CancellationToken cancellationToken) =>
        RetryAsync(async () =>
        {
            using var request = Request(HttpMethod.Put, sha256, token);
            await using var content = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, 128 * 1024, useAsync: true);
            request.Content = new StreamContent(content);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
            request.Content.Headers.ContentLength = content.Length;
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            await RequireSuccessAsync(response, sha256, cancellationToken);
            return true;
        }, UploadRetryLimit, cancellationToken);

    private static HttpRequestMessage Request(HttpMethod method, string sha256, string token)
    {
        if (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigitLower))
        {
            throw new UnitFailedException(FailureClass.Internal, "The lease names a blob by something other than 64 lower-case hex characters.");
        }

        var request = new HttpRequestMessage(method, $"/v1/node/blobs/{sha256}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        request.Headers.TryAddWithoutValidation("Authorization", "Lease " + token);
        return request;
    }

    private static async Task RequireSuccessAsync(HttpResponseMessage response, string sha256, CancellationToken cancellationToken)
    {
        if (response.IsSuccessStatusCode)
        {
            return;
        }

        var status = (int)response.StatusCode;
        if (status is 408 or 429 or >= 500)
        {
            throw new HttpRequestException($"The hub answered {status} for blob {sha256}.", null, response.StatusCode);
        }

        var body = await response.Content.ReadAsStringAsync(cancellationToken);
        throw new BlobRefusedException($"The hub answered {status} for blob {sha256}: {(body.Length <= 300 ? body : body[..300])}");
    }

    private async Task<T> RetryAsync<T>(Func<Task<T>> attempt, TimeSpan limit, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await attempt();
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or HttpIOException
                && time.GetElapsedTime(started) < limit)
            {
                // The hub may be restarting; a bounded, growing wait gives it time.
                await Task.Delay(RetryWait * Math.Min(tries, 10), time, cancellationToken);
            }
        }
    }
}
