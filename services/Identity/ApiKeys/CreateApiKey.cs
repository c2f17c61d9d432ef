using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>A scoped key for clients that cannot prove possession; shown once.</summary>
internal static partial class CreateApiKey
{
    private const int MaxLiveKeys = 100;

    public static async Task<Results<Created<CreateApiKeyResponse>, ProblemHttpResult>> HandleAsync(
        CreateApiKeyRequest request, ClaimsPrincipal user, NpgsqlDataSource database, Outbox outbox,
        TimeProvider time, ILogger<CreateApiKeyRequest> logger, CancellationToken cancellationToken)
    {
        var scopes = request.Scopes.Distinct(StringComparer.Ordinal).ToArray();
        if (RefuseScopes(scopes, user.ScopeList()) is { } refusal)
        {
            return Problems.Refuse(StatusCodes.Status422UnprocessableEntity, "badScope", refusal);
        }

        var now = time.GetUtcNow();
        var id = Guid.CreateVersion7(now);
        var secret = Secrets.New(Secrets.ApiKeyPrefix);
        var expiresAt = now.AddSeconds(request.ExpiresInSeconds);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var insert = new NpgsqlCommand(
            """
            INSERT INTO api_keys (api_key_id, tenant_id, name, key_hash, scopes, created_at, expires_at)
            SELECT $1, $2, $3, $4, $5, $6, $7
            WHERE (SELECT count(*) FROM api_keys WHERE tenant_id = $2 AND revoked_at IS NULL AND expires_at > $6) < $8
            """, connection, transaction)
        {
            Parameters =
            {
                new() { Value = id }, new() { Value = user.TenantId().Value }, new() { Value = request.Name }, new() { Value = Secrets.Hash(secret) },
                new() { Value = scopes }, new() { Value = now.UtcDateTime }, new() { Value = expiresAt.UtcDateTime }, new() { Value = (long)MaxLiveKeys },
            },
        };
        if (await insert.ExecuteNonQueryAsync(cancellationToken) == 0)
        {
            return Problems.Refuse(StatusCodes.Status409Conflict, "tooMany", $"There are {MaxLiveKeys} live API keys already. Revoke one that is not used any more.");
        }

        await Evidence.AddAsync(transaction, time, "identity.apiKeyCreated", user.TenantId(), id, new() { ["scopes"] = string.Join(' ', scopes) }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        outbox.Wake();
        LogCreated(logger, id, user.TenantId());
        return TypedResults.Created($"/v1/identity/api-keys/{id:D}", new CreateApiKeyResponse(id, secret, expiresAt));
    }

    /// <summary>A key gets no more than its maker has, and never the right to make keys.</summary>
    internal static string? RefuseScopes(IReadOnlyList<string> asked, IReadOnlyList<string> held)
    {
        var known = Scopes.All.Where(scope => scope != Scopes.Admin).ToList();
        foreach (var scope in asked)
        {
            // JSON may hold null where the type says text.
            if (scope is null || !known.Contains(scope, StringComparer.Ordinal))
            {
                return $"An API key cannot have scope '{scope ?? "null"}'. Possible are: {string.Join(", ", known)}.";
            }
        }

        return asked.FirstOrDefault(scope => !held.Contains(scope, StringComparer.Ordinal)) is { } missing
            ? $"The access token itself lacks scope '{missing}', so it cannot give it to a key."
            : null;
    }

    [LoggerMessage(LogLevel.Information, "Created API key {ApiKeyId} for tenant {TenantId}")]
    private static partial void LogCreated(ILogger logger, Guid apiKeyId, TenantId tenantId);
}
