using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Net.Http.Headers;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>Gives a tenant its own sealed bytes back, whole or by ranges. What is another tenant's looks as if it did not exist.</summary>
internal static class ReadBlob
{
    public static void Map(IEndpointRouteBuilder blobs) => blobs.MapMethods("/v1/blobs/{sha256}", [HttpMethods.Get, HttpMethods.Head], HandleAsync);

    private static async Task<Results<FileStreamHttpResult, ProblemHttpResult>> HandleAsync(
        string sha256, HttpContext http, ClaimsPrincipal user, IBlobStore blobs, CancellationToken cancellationToken)
    {
        if (!BlobHash.IsValid(sha256))
        {
            return MalformedHash();
        }

        return await blobs.OpenReadAsync(user.TenantId(), sha256, cancellationToken) is { } blob ? Send(http, blob, sha256) : Unknown();
    }

    /// <summary>The result closes the blob. A name never changes its content, so whoever has it need never ask again.</summary>
    internal static FileStreamHttpResult Send(HttpContext http, BlobRead blob, string sha256)
    {
        http.Response.Headers.CacheControl = "private, max-age=31536000, immutable";
        return TypedResults.Stream(blob.Content, MediaTypes.Sealed, entityTag: new EntityTagHeaderValue($"\"{sha256}\""), enableRangeProcessing: true);
    }

    internal static ProblemHttpResult MalformedHash() => TypedResults.Problem(BlobHash.Remedy, statusCode: StatusCodes.Status400BadRequest, title: "The blob's name is malformed.");

    internal static ProblemHttpResult Unknown() =>
        TypedResults.Problem("Check the hash; an upload becomes a blob when its last byte has come and its hash was right.", statusCode: StatusCodes.Status404NotFound, title: "There is no such blob.");
}
