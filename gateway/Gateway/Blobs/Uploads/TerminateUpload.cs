using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>tus termination: forgets an upload. A blob that it has already become stays.</summary>
internal static class TerminateUpload
{
    public static void Map(IEndpointRouteBuilder uploads) => uploads.MapDelete("/{uploadId}", HandleAsync);

    internal static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        string uploadId, ClaimsPrincipal user, UploadSessions sessions, CancellationToken cancellationToken)
    {
        if (await sessions.FindAsync(user.TenantId(), uploadId, cancellationToken) is not { } upload)
        {
            return Tus.UnknownUpload();
        }

        var (standing, file) = sessions.TryOpen(upload);
        if (standing == UploadStanding.Locked)
        {
            return Tus.Locked();
        }

        // Under the lock, so that nobody is appending to what goes away.
        await using (file)
        {
            await sessions.DiscardAsync(upload, cancellationToken);
        }

        return TypedResults.NoContent();
    }
}
