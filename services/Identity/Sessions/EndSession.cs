using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Signs a browser out: by itself through the gateway, or by its creator from elsewhere. Repeating it is safe.</summary>
internal static partial class EndSession
{
    public static async Task<NoContent> HandleOwnAsync(Guid sessionId, NpgsqlDataSource database, TimeProvider time, ILogger<BrowserSession> logger, CancellationToken cancellationToken)
    {
        await EndAsync(sessionId, tenant: null, database, time, logger, cancellationToken);
        return TypedResults.NoContent();
    }

    public static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        Guid sessionId, ClaimsPrincipal user, NpgsqlDataSource database, TimeProvider time, ILogger<BrowserSession> logger, CancellationToken cancellationToken) =>
        await EndAsync(sessionId, user.TenantId(), database, time, logger, cancellationToken) ? TypedResults.NoContent() : Problems.Unknown("session", sessionId);

    private static async Task<bool> EndAsync(
        Guid sessionId, TenantId? tenant, NpgsqlDataSource database, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "UPDATE sessions SET ended_at = coalesce(ended_at, $2) WHERE session_id = $1 AND ($3::uuid IS NULL OR tenant_id = $3)");
        command.Parameters.Add(new() { Value = sessionId });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = tenant is { } one ? one.Value : DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid });
        var known = await command.ExecuteNonQueryAsync(cancellationToken) == 1;
        if (known)
        {
            LogEnded(logger, sessionId);
        }

        return known;
    }

    [LoggerMessage(LogLevel.Information, "Session {SessionId} was ended")]
    private static partial void LogEnded(ILogger logger, Guid sessionId);
}
