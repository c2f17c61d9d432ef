using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Whether a browser has come with the link, and the key that it would like the creator's key sealed for.</summary>
internal static class GetSignIn
{
    public static async Task<Results<Ok<SignInState>, ProblemHttpResult>> HandleAsync(
        Guid signInId, ClaimsPrincipal user, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            SELECT i.expires_at, i.session_id, i.browser_key, i.browser_proof, s.name
            FROM sign_ins i LEFT JOIN sessions s USING (session_id)
            WHERE i.sign_in_id = $1 AND i.device_id = $2
            """);
        command.Parameters.Add(new() { Value = signInId });
        command.Parameters.Add(new() { Value = user.SubjectId() });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return Problems.Unknown("sign-in", signInId);
        }

        var browser = await reader.IsDBNullAsync(1, cancellationToken)
            ? null
            : new SignInBrowser(reader.GetGuid(1), reader.GetString(2), reader.GetString(3), reader.GetString(4));
        return TypedResults.Ok(new SignInState(signInId, await reader.GetFieldValueAsync<DateTimeOffset>(0, cancellationToken), browser));
    }
}
