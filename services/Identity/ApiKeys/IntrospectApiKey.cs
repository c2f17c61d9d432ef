using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>The gateway exchanges an API key for a short token, so that services know one kind of caller only.</summary>
internal static class IntrospectApiKey
{
    private static readonly IntrospectApiKeyResponse Inactive = new(false, null, 0);

    public static async Task<Ok<IntrospectApiKeyResponse>> HandleAsync(
        IntrospectApiKeyRequest request, NpgsqlDataSource database, PlatformKeys keys, IOptions<IdentityOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!Secrets.LooksLike(Secrets.ApiKeyPrefix, request.ApiKey))
        {
            return TypedResults.Ok(Inactive);
        }

        var now = time.GetUtcNow();
        await using var command = database.CreateCommand(
            "SELECT api_key_id, tenant_id, scopes, expires_at FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL AND expires_at > $2");
        command.Parameters.Add(new() { Value = Secrets.Hash(request.ApiKey) });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return TypedResults.Ok(Inactive);
        }

        var keyExpiry = await reader.GetFieldValueAsync<DateTimeOffset>(3, cancellationToken);
        var expiresAt = now.AddSeconds(options.Value.InternalTokenSeconds);
        expiresAt = keyExpiry < expiresAt ? keyExpiry : expiresAt;
        var token = AccessTokens.Create(keys.TokenKey, new AccessTokenContent(
            reader.GetGuid(0), "apiKey", new TenantId(reader.GetGuid(1)), await reader.GetFieldValueAsync<string[]>(2, cancellationToken), ConfirmationThumbprint: null, now, expiresAt));
        return TypedResults.Ok(new IntrospectApiKeyResponse(true, token, Math.Max(1, (int)(expiresAt - now).TotalSeconds)));
    }
}
