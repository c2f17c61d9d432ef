using System.Buffers;
using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>
/// tus PATCH: appends bytes at the offset that both sides agree on. Whatever arrived before a connection broke is kept. The first bytes
/// are judged before they are written, so that plaintext never reaches the disk; the last ones trigger the check of the whole.
/// </summary>
internal static class AppendUpload
{
    private const int BufferBytes = 128 * 1024;

    public static void Map(IEndpointRouteBuilder uploads)
    {
        uploads.MapPatch("/{uploadId}", HandleAsync);

        // For clients behind proxies that know no PATCH; tus asks servers to honour it.
        uploads.MapPost("/{uploadId}", async Task<IResult> (string uploadId, HttpContext http, ClaimsPrincipal user, UploadSessions sessions, CancellationToken cancellationToken) =>
        {
            var method = http.Request.Headers["X-HTTP-Method-Override"].ToString();
            return method switch
            {
                "PATCH" => await HandleAsync(uploadId, http, user, sessions, cancellationToken),
                "DELETE" => await TerminateUpload.HandleAsync(uploadId, user, sessions, cancellationToken),
                _ => Tus.Refuse(StatusCodes.Status405MethodNotAllowed, "POST does nothing here.", $"X-HTTP-Method-Override is '{method}'; PATCH and DELETE are known."),
            };
        });
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        string uploadId, HttpContext http, ClaimsPrincipal user, UploadSessions sessions, CancellationToken cancellationToken)
    {
        var request = http.Request;
        if (!string.Equals(request.ContentType, Tus.ChunkType, StringComparison.OrdinalIgnoreCase))
        {
            return Tus.Refuse(StatusCodes.Status415UnsupportedMediaType, "The body is of the wrong type.", $"Content-Type is '{request.ContentType}'; send {Tus.ChunkType}.");
        }

        if (!long.TryParse(request.Headers[Tus.Offset], NumberStyles.None, CultureInfo.InvariantCulture, out var offset))
        {
            return Tus.Refuse(StatusCodes.Status400BadRequest, "The offset is missing.", $"Header {Tus.Offset} is '{request.Headers[Tus.Offset]}'; send the number of bytes that HEAD answers.");
        }

        if (await sessions.FindAsync(user.TenantId(), uploadId, cancellationToken) is not { } upload)
        {
            return Tus.UnknownUpload();
        }

        if (upload.Finished)
        {
            return WrongOffset(offset, upload.LengthBytes);
        }

        var (standing, file) = sessions.TryOpen(upload);
        if (file is null)
        {
            return standing == UploadStanding.Locked ? Tus.Locked()
                : await sessions.RecoverAsync(upload, cancellationToken) == UploadStanding.Finished ? WrongOffset(offset, upload.LengthBytes)
                : Tus.UnknownUpload();
        }

        await using (file)
        {
            return await AppendAsync(upload, offset, file, http, sessions, cancellationToken);
        }
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> AppendAsync(
        Upload upload, long offset, FileStream file, HttpContext http, UploadSessions sessions, CancellationToken cancellationToken)
    {
        if (offset != file.Length)
        {
            return WrongOffset(offset, file.Length);
        }

        var room = upload.LengthBytes - offset;
        if (http.Request.ContentLength > room)
        {
            return TooMuch(upload);
        }

        // The promise of the length is the limit here, not the server's limit for JSON bodies.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = null;
        }

        file.Position = offset;
        switch (await CopyAsync(http.Request.Body, file, upload.LengthBytes, cancellationToken))
        {
            case CopyOutcome.NotSealed:
                // Not the caller's token: a client that hangs up must not keep what it should not have sent.
                await sessions.DiscardAsync(upload, CancellationToken.None);
                return Tus.Refuse(StatusCodes.Status415UnsupportedMediaType, "The upload is not sealed.", SealedFormat.Refusal + " The upload was discarded.");
            case CopyOutcome.TooMuch:
                file.SetLength(offset);
                return TooMuch(upload);
            default:
                break;
        }

        if (file.Length == upload.LengthBytes && await sessions.FinishAsync(upload, file, cancellationToken) is var end && end != UploadStanding.Finished)
        {
            return end == UploadStanding.Mismatched ? Tus.Mismatch() : Tus.UnknownUpload();
        }

        http.Response.Headers[Tus.Offset] = file.Length.ToString(CultureInfo.InvariantCulture);
        http.Response.Headers[Tus.Expires] = upload.ExpiresAt.ToString("R", CultureInfo.InvariantCulture);
        return TypedResults.NoContent();
    }

    private static async Task<CopyOutcome> CopyAsync(Stream body, FileStream file, long end, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            int read;
            while ((read = await body.ReadAsync(buffer, cancellationToken)) > 0)
            {
                if (!SealedFormat.Agrees(file.Position, buffer.AsSpan(0, read)))
                {
                    return CopyOutcome.NotSealed;
                }

                if (file.Position + read > end)
                {
                    return CopyOutcome.TooMuch;
                }

                // Not the caller's token: bytes that have come are kept whole, whatever becomes of the connection.
                await file.WriteAsync(buffer.AsMemory(0, read), CancellationToken.None);
            }

            return CopyOutcome.Copied;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static ProblemHttpResult WrongOffset(long sent, long actual) =>
        Tus.Refuse(StatusCodes.Status409Conflict, "The offset is not where the upload stands.", $"{Tus.Offset} is {sent} and {actual} bytes have come. Go on from {actual}.");

    private static ProblemHttpResult TooMuch(Upload upload) => Tus.Refuse(
        StatusCodes.Status413PayloadTooLarge, "More bytes were sent than announced.", $"{Tus.Length} of this upload is {upload.LengthBytes}. Nothing of this request was kept; create a new upload if the file has grown.");

    private enum CopyOutcome
    {
        NotSealed,
        TooMuch,
        Copied,
    }
}
