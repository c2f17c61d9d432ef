using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>tus creation: promises a length and a hash, and gets the address to send the bytes to.</summary>
internal static class CreateUpload
{
    public static void Map(IEndpointRouteBuilder uploads) => uploads.MapPost("", HandleAsync);

    private static async Task<Results<Created, ProblemHttpResult>> HandleAsync(
        HttpContext http, ClaimsPrincipal user, UploadSessions sessions, IOptions<BlobOptions> options, CancellationToken cancellationToken)
    {
        var headers = http.Request.Headers;
        if (!long.TryParse(headers[Tus.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var length))
        {
            return Tus.Refuse(StatusCodes.Status400BadRequest, "The length of the upload is missing.",
                $"Header {Tus.Length} is '{headers[Tus.Length]}'; send the whole length in bytes. A deferred length is not supported.");
        }

        if (length > options.Value.MaxOpenUploadBytes)
        {
            // No waiting makes room for it.
            return Tus.Refuse(StatusCodes.Status413PayloadTooLarge, "The upload is too large.",
                $"{length} bytes were announced and the open uploads of one tenant may hold {options.Value.MaxOpenUploadBytes} together. Split the asset, or raise Gateway:Blobs:MaxOpenUploadBytes.");
        }

        if (length > options.Value.MaxUploadBytes)
        {
            return Tus.Refuse(StatusCodes.Status413PayloadTooLarge, "The upload is too large.",
                $"{length} bytes were announced and at most {options.Value.MaxUploadBytes} are taken. Split the asset, or raise Gateway:Blobs:MaxUploadBytes.");
        }

        if (length < SealedFormat.Magic.Length)
        {
            return Tus.Refuse(StatusCodes.Status415UnsupportedMediaType, "The upload is not sealed.", SealedFormat.Refusal);
        }

        var (sha256, refusal) = Tus.ReadMetadata(headers[Tus.Metadata].ToString(), "sha256");
        if (refusal is not null || !BlobHash.IsValid(sha256))
        {
            return Tus.Refuse(StatusCodes.Status400BadRequest, "The hash of the upload is missing.",
                $"{refusal ?? $"Key 'sha256' of header {Tus.Metadata} is '{Shorten(sha256!)}'."} {BlobHash.Remedy} Send 'sha256' and the base64 of that text.");
        }

        var upload = await sessions.CreateAsync(user.TenantId(), sha256!, length, cancellationToken);
        if (upload is null)
        {
            return Tus.Refuse(StatusCodes.Status429TooManyRequests, "Too many uploads are open.",
                $"At most {options.Value.MaxOpenUploads} uploads of one tenant may be unfinished, with {options.Value.MaxOpenUploadBytes} bytes together; {length} more were announced. Finish or delete some; they expire after {options.Value.UploadExpiryHours} h.");
        }

        http.Response.Headers[Tus.Offset] = "0";
        http.Response.Headers[Tus.Expires] = upload.ExpiresAt.ToString("R", CultureInfo.InvariantCulture);
        return TypedResults.Created(upload.Path);
    }

    private static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "...";
}
