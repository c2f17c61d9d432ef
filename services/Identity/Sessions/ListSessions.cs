using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

internal static class ListSessions
{
    public static async Task<Ok<SessionList>> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource database, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "SELECT session_id, name, created_at, expires_at FROM sessions WHERE tenant_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY created_at DESC LIMIT 100");
        command.Parameters.Add(new() { Value = user.TenantId().Value });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var sessions = new List<SessionItem>();
        while (await reader.ReadAsync(cancellationToken))
        {
            sessions.Add(new SessionItem(
                reader.GetGuid(0), reader.GetString(1), await reader.GetFieldValueAsync<DateTimeOffset>(2, cancellationToken), await reader.GetFieldValueAsync<DateTimeOffset>(3, cancellationToken)));
        }

        return TypedResults.Ok(new SessionList(sessions));
    }
}
