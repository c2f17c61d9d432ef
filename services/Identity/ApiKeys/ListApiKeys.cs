using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

internal static class ListApiKeys
{
    public static async Task<Ok<ApiKeyList>> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "SELECT api_key_id, name, scopes, expires_at, revoked_at IS NOT NULL FROM api_keys WHERE tenant_id = $1 ORDER BY created_at DESC LIMIT 1000");
        command.Parameters.Add(new() { Value = user.TenantId().Value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var keys = new List<ApiKeyItem>();
        while (await reader.ReadAsync(cancellationToken))
        {
            keys.Add(new ApiKeyItem(
                reader.GetGuid(0), reader.GetString(1), await reader.GetFieldValueAsync<string[]>(2, cancellationToken), await reader.GetFieldValueAsync<DateTimeOffset>(3, cancellationToken), reader.GetBoolean(4)));
        }

        return TypedResults.Ok(new ApiKeyList(keys));
    }
}
