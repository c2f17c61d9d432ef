using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>The platform starts no overflow agents any more: no job is sealed to the pool's key from now on, no agent enrols with it. Repeating it is safe.</summary>
internal static partial class WithdrawPool
{
    public static async Task<NoContent> HandleAsync(
        WithdrawOverflowPoolRequest request, NpgsqlDataSource database, TimeProvider time, ILogger<OverflowPool> logger, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("UPDATE overflow_pools SET withdrawn_at = $2 WHERE encryption_key_id = $1 AND withdrawn_at IS NULL");
        command.Parameters.Add(new() { Value = request.KeyId });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        if (await command.ExecuteNonQueryAsync(cancellationToken) > 0)
        {
            LogWithdrawn(logger, request.KeyId);
        }

        return TypedResults.NoContent();
    }

    [LoggerMessage(LogLevel.Information, "Overflow pool with key {KeyId} is withdrawn")]
    private static partial void LogWithdrawn(ILogger logger, string keyId);
}
