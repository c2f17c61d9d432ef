using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>A device begins to let a browser in. Only the hash of the link's code comes here.</summary>
internal static partial class CreateSignIn
{
    /// <summary>What the link carries is worth nothing after this.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(60);

    private const int MaxOpen = 10;

    public static async Task<Results<Created<CreateSignInResponse>, ProblemHttpResult>> HandleAsync(
        CreateSignInRequest request, ClaimsPrincipal user, NpgsqlDataSource database, TimeProvider time, ILogger<CreateSignInRequest> logger, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var made = new CreateSignInResponse(Guid.CreateVersion7(now), now + Life);
        await using var command = database.CreateCommand(
            """
            INSERT INTO sign_ins (sign_in_id, device_id, code_hash, expires_at)
            SELECT $1, device_id, $3, $4 FROM devices
            WHERE device_id = $2 AND revoked_at IS NULL AND (SELECT count(*) FROM sign_ins s WHERE s.device_id = $2 AND s.expires_at > $5 AND s.session_id IS NULL) < $6
            ON CONFLICT (code_hash) DO NOTHING
            """);
        command.Parameters.Add(new() { Value = made.SignInId });
        command.Parameters.Add(new() { Value = user.SubjectId() });
        command.Parameters.Add(new() { Value = Convert.FromHexString(request.CodeSha256) });
        command.Parameters.Add(new() { Value = made.ExpiresAt.UtcDateTime });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = (long)MaxOpen });
        if (await command.ExecuteNonQueryAsync(cancellationToken) == 0)
        {
            return Problems.Refuse(
                StatusCodes.Status409Conflict, "tooMany", $"Either {MaxOpen} links of this device wait for a browser already (they end after {Life.TotalSeconds:0} s), or this code was used before. Wait a minute, then make a new link.");
        }

        LogBegun(logger, made.SignInId, user.SubjectId());
        return TypedResults.Created($"/v1/identity/sign-ins/{made.SignInId:D}", made);
    }

    [LoggerMessage(LogLevel.Information, "Sign-in {SignInId} was begun by device {DeviceId}")]
    private static partial void LogBegun(ILogger logger, Guid signInId, Guid deviceId);
}
