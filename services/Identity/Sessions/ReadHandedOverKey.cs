using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>Gives a signed-in browser what its creator's device has sealed for it.</summary>
internal static class ReadHandedOverKey
{
    public static async Task<Results<Ok<HandedOverKey>, ProblemHttpResult>> HandleAsync(Guid sessionId, NpgsqlDataSource database, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT sign_in_id, handed_over, expires_at > $2 FROM sign_ins WHERE session_id = $1");
        command.Parameters.Add(new() { Value = sessionId });
        command.Parameters.Add(new() { Value = (time.GetUtcNow() - RedeemSignIn.HandOverTime).UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? TypedResults.Ok(new HandedOverKey(
                reader.GetGuid(0), await reader.IsDBNullAsync(1, cancellationToken) ? null : await reader.GetFieldValueAsync<byte[]>(1, cancellationToken), reader.GetBoolean(2)))
            : Problems.Unknown("session with a key to come", sessionId);
    }
}
