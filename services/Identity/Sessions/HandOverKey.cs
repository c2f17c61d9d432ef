using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Carries the creator's key, sealed for the browser, from the device. It is kept until the sign-in is swept; nobody but that browser can open it.</summary>
internal static class HandOverKey
{
    private const int MaxBytes = 1024;

    public static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        Guid signInId, HandOverKeyRequest request, ClaimsPrincipal user, NpgsqlDataSource database, TimeProvider time, CancellationToken cancellationToken)
    {
        if (request.HandedOver.Length is 0 or > MaxBytes)
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badKey", $"handedOver holds {request.HandedOver.Length} bytes; a sealed key has 1 to {MaxBytes}.");
        }

        await using var command = database.CreateCommand(
            """
            UPDATE sign_ins SET handed_over = $3
            WHERE sign_in_id = $1 AND device_id = $2 AND session_id IS NOT NULL AND expires_at > $4 AND (handed_over IS NULL OR handed_over = $3)
            """);
        command.Parameters.Add(new() { Value = signInId });
        command.Parameters.Add(new() { Value = user.SubjectId() });
        command.Parameters.Add(new() { Value = request.HandedOver });
        command.Parameters.Add(new() { Value = (time.GetUtcNow() - RedeemSignIn.HandOverTime).UtcDateTime });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1
            ? TypedResults.NoContent()
            : Problems.Refuse(StatusCodes.Status404NotFound, "unknown", $"No sign-in {signInId} of yours waits for a key. Make a new link.");
    }
}
