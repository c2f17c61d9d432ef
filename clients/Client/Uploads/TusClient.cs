using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using RenderTrust.Client.Http;

namespace RenderTrust.Client.Uploads;

/// <summary>
/// Uploads blobs by tus 1.0 (core and creation). After a break it asks the server how far it got and goes on from there; it gives up when
/// several tries in a row bring nothing forward.
/// </summary>
internal sealed class TusClient(HttpClient http, TimeProvider time)
{
    private const int ChunkBytes = 4 * 1_048_576;
    private const int MaxBarrenTries = 6;
    private const int ChecksumMismatch = 460;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly MediaTypeHeaderValue OffsetStream = new("application/offset+octet-stream");

    public async Task UploadAsync(string sha256, Stream content, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var size = content.Length;
        Uri? upload = null;
        long offset = 0;
        var barren = 0;
        while (true)
        {
            var before = offset;
            try
            {
                if (upload is null)
                {
                    upload = await CreateAsync(sha256, size, cancellationToken);
                }
                else
                {
                    offset = await OffsetAsync(upload, cancellationToken);
                }

                while (offset < size)
                {
                    offset = await SendChunkAsync(upload, content, offset, size, cancellationToken);
                    progress?.Report(offset);
                }

                return;
            }
            catch (RenderTrustException exception) when (upload is not null && exception.Status is HttpStatusCode.NotFound or HttpStatusCode.Gone)
            {
                // Either it was finished and only the answer was lost, or the server gave it up.
                if (await ExistsAsync(sha256, cancellationToken))
                {
                    return;
                }

                upload = null;
                offset = 0;
            }
            catch (RenderTrustException exception) when (IsWorthAnotherTry(exception) && (offset > before || barren < MaxBarrenTries))
            {
                // The pause and the count are below, for this case and the one above.
            }

            barren = offset > before ? 1 : barren + 1;
            if (barren > MaxBarrenTries)
            {
                throw new RenderTrustException(
                    RenderTrustError.UploadFailed, $"The upload of blob {sha256} stopped at {offset} of {size} bytes. Check the connection and submit again.");
            }

            await Task.Delay(FirstPause * Math.Pow(2, barren - 1), time, cancellationToken);
        }
    }

    public async Task<bool> ExistsAsync(string sha256, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, $"/v1/blobs/{sha256}");
        using var response = await http.AskAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode == HttpStatusCode.NotFound)
        {
            return false;
        }

        await response.RequireSuccessAsync(cancellationToken);
        return true;
    }

    private static bool IsWorthAnotherTry(RenderTrustException exception) =>
        exception.Error is RenderTrustError.Unreachable or RenderTrustError.ServerFault or RenderTrustError.Busy or RenderTrustError.Conflict
        || (int?)exception.Status is 408 or 423;

    private async Task<Uri> CreateAsync(string sha256, long size, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Post, new Uri(http.BaseAddress!, "/v1/uploads"));
        request.Headers.Add("Upload-Length", size.ToString(CultureInfo.InvariantCulture));
        request.Headers.Add("Upload-Metadata", $"sha256 {Convert.ToBase64String(Encoding.ASCII.GetBytes(sha256))}");
        request.Content = new ByteArrayContent([]);
        using var response = await http.AskAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken);
        await response.RequireSuccessAsync(cancellationToken);
        return response.Headers.Location is { } location
            ? new Uri(request.RequestUri!, location)
            : throw new RenderTrustException(RenderTrustError.ServerFault, "The server made an upload without saying where.") { Status = response.StatusCode };
    }

    private async Task<long> OffsetAsync(Uri upload, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Head, upload);
        using var response = await http.AskAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await RequireAsync(response, cancellationToken);
        return OffsetOf(response);
    }

    private async Task<long> SendChunkAsync(Uri upload, Stream content, long offset, long size, CancellationToken cancellationToken)
    {
        var length = (int)Math.Min(ChunkBytes, size - offset);
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            content.Position = offset;
            await content.ReadExactlyAsync(buffer.AsMemory(0, length), cancellationToken);
            using var request = Request(HttpMethod.Patch, upload);
            request.Headers.Add("Upload-Offset", offset.ToString(CultureInfo.InvariantCulture));
            request.Content = new ByteArrayContent(buffer, 0, length) { Headers = { ContentType = OffsetStream } };
            using var response = await http.AskAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken);
            await RequireAsync(response, cancellationToken);
            return OffsetOf(response);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static HttpRequestMessage Request(HttpMethod method, Uri address)
    {
        var request = new HttpRequestMessage(method, address);
        request.Headers.Add("Tus-Resumable", "1.0.0");
        return request;
    }

    private static async Task RequireAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if ((int)response.StatusCode == ChecksumMismatch)
        {
            throw new RenderTrustException(
                RenderTrustError.UploadFailed, "What arrived is not what was sent: the hashes differ. Something changes data on the way; submit again.")
            {
                Status = response.StatusCode,
            };
        }

        await response.RequireSuccessAsync(cancellationToken);
    }

    private static long OffsetOf(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Upload-Offset", out var values)
        && long.TryParse(values.FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var offset)
            ? offset
            : throw new RenderTrustException(RenderTrustError.ServerFault, "The server did not say how far the upload is (Upload-Offset).") { Status = response.StatusCode };
}
