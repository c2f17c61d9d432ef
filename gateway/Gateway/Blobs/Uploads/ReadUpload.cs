using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>tus HEAD: how many bytes have come. Also ends an upload whose last bytes came but whose check was cut off by a crash.</summary>
internal static class ReadUpload
{
    public static void Map(IEndpointRouteBuilder uploads) => uploads.MapMethods("/{uploadId}", [HttpMethods.Head], HandleAsync);

    private static async Task<Results<Ok, ProblemHttpResult>> HandleAsync(
        string uploadId, HttpContext http, ClaimsPrincipal user, UploadSessions sessions, CancellationToken cancellationToken)
    {
        if (await sessions.FindAsync(user.TenantId(), uploadId, cancellationToken) is not { } upload)
        {
            return Tus.UnknownUpload();
        }

        long offset;
        if (upload.Finished)
        {
            offset = upload.LengthBytes;
        }
        else if (sessions.ReadOffset(upload) is { } written && written < upload.LengthBytes)
        {
            offset = written;
        }
        else
        {
            var standing = await EndAsync(sessions, upload, cancellationToken);
            if (standing != UploadStanding.Finished)
            {
                return standing switch
                {
                    UploadStanding.Locked => Tus.Locked(),
                    UploadStanding.Mismatched => Tus.Mismatch(),
                    _ => Tus.UnknownUpload(),
                };
            }

            offset = upload.LengthBytes;
        }

        var headers = http.Response.Headers;
        headers[Tus.Offset] = offset.ToString(CultureInfo.InvariantCulture);
        headers[Tus.Length] = upload.LengthBytes.ToString(CultureInfo.InvariantCulture);
        headers[Tus.Expires] = upload.ExpiresAt.ToString("R", CultureInfo.InvariantCulture);
        return TypedResults.Ok();
    }

    private static async Task<UploadStanding> EndAsync(UploadSessions sessions, Upload upload, CancellationToken cancellationToken)
    {
        var (standing, file) = sessions.TryOpen(upload);
        if (file is null)
        {
            return standing == UploadStanding.Locked ? standing : await sessions.RecoverAsync(upload, cancellationToken);
        }

        await using (file)
        {
            return await sessions.FinishAsync(upload, file, cancellationToken);
        }
    }
}
