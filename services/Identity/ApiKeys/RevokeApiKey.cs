using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Ends an API key. Repeating it is safe.</summary>
internal static class RevokeApiKey
{
    public static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        Guid apiKeyId, ClaimsPrincipal user, NpgsqlDataSource database, RevocationLog log, Outbox outbox, Revocations revocations,
        TimeProvider time, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var (known, revoked, expiresAt) = await FindAsync(apiKeyId, user, transaction, cancellationToken);
        if (!known)
        {
            return Problems.Unknown("API key", apiKeyId);
        }

        if (revoked)
        {
            return TypedResults.NoContent();
        }

        await using var update = new NpgsqlCommand("UPDATE api_keys SET revoked_at = $2 WHERE api_key_id = $1", connection, transaction)
        {
            Parameters = { new() { Value = apiKeyId }, new() { Value = time.GetUtcNow().UtcDateTime } },
        };
        await update.ExecuteNonQueryAsync(cancellationToken);
        await log.AddAsync(transaction, RevocationKind.ApiKey, apiKeyId, user.TenantId(), expiresAt.AddHours(1), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        outbox.Wake();
        revocations.Wake();
        return TypedResults.NoContent();
    }

    private static async Task<(bool Known, bool Revoked, DateTimeOffset ExpiresAt)> FindAsync(
        Guid apiKeyId, ClaimsPrincipal user, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var find = new NpgsqlCommand(
            "SELECT revoked_at IS NOT NULL, expires_at FROM api_keys WHERE api_key_id = $1 AND tenant_id = $2 FOR UPDATE", transaction.Connection, transaction)
        {
            Parameters = { new() { Value = apiKeyId }, new() { Value = user.TenantId().Value } },
        };
        await using var reader = await find.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (true, reader.GetBoolean(0), await reader.GetFieldValueAsync<DateTimeOffset>(1, cancellationToken)) : default;
    }
}
