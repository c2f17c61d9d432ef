using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>Names and rules of tus 1.0 (https://tus.io/protocols/resumable-upload): core, creation, termination, expiration.</summary>
internal static class Tus
{
    public const string Route = "/v1/uploads";
    public const string Version = "1.0.0";
    public const string Extensions = "creation,termination,expiration";
    public const string ChunkType = "application/offset+octet-stream";
    public const int ChecksumMismatch = 460;

    public const string Resumable = "Tus-Resumable";
    public const string Offset = "Upload-Offset";
    public const string Length = "Upload-Length";
    public const string Metadata = "Upload-Metadata";
    public const string Expires = "Upload-Expires";

    private const int MaxMetadataChars = 4096;

    /// <summary>Every answer names the version; a request of another version changes nothing.</summary>
    public static async ValueTask<object?> RequireVersionAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        http.Response.Headers[Resumable] = Version;
        http.Response.Headers.CacheControl = "no-store";
        var asked = http.Request.Headers[Resumable].ToString();
        if (asked == Version)
        {
            return await next(context);
        }

        http.Response.Headers["Tus-Version"] = Version;
        return Refuse(StatusCodes.Status412PreconditionFailed, "The tus version is missing or not supported.", $"Header {Resumable} is '{asked}'; send '{Version}'.");
    }

    public static ProblemHttpResult Refuse(int status, string title, string detail) => TypedResults.Problem(detail, statusCode: status, title: title);

    /// <summary>One answer for an upload that never was, has ended, or is another tenant's.</summary>
    public static ProblemHttpResult UnknownUpload() =>
        Refuse(StatusCodes.Status404NotFound, "There is no such upload.", $"It was never created, has expired or was discarded. Create a new one with POST {Route}.");

    public static ProblemHttpResult Locked()
    {
        return Refuse(StatusCodes.Status423Locked, "Another request is writing to this upload.", "One connection at a time may write. Ask for the offset with HEAD and go on from there.");
    }

    public static ProblemHttpResult Mismatch() => Refuse(
        ChecksumMismatch, "The bytes do not match their SHA-256.", "The upload was discarded. Check that Upload-Metadata names the SHA-256 of the sealed file and that the file did not change, then upload it again.");

    /// <summary>The value of one key of Upload-Metadata, decoded; a refusal in words otherwise.</summary>
    public static (string? Value, string? Refusal) ReadMetadata(string header, string name)
    {
        if (header.Length > MaxMetadataChars)
        {
            return (null, $"Header {Metadata} has {header.Length} characters; at most {MaxMetadataChars} are read.");
        }

        foreach (var pair in header.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = pair.Split(' ', 2, StringSplitOptions.TrimEntries);
            if (parts[0] != name)
            {
                continue;
            }

            var bytes = new byte[header.Length];
            return parts.Length == 2 && Convert.TryFromBase64String(parts[1], bytes, out var written)
                ? (Encoding.UTF8.GetString(bytes, 0, written), null)
                : (null, $"Key '{name}' of header {Metadata} is not base64.");
        }

        return (null, $"Header {Metadata} has no key '{name}'.");
    }
}
