using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>The gateway exchanges a browser's cookie for a short token, as it does with API keys. A session ends with its device.</summary>
internal static class IntrospectSession
{
    /// <summary>What a page shows. Keys, nodes' enrolment and devices stay with the device: a stolen cookie must not make anything that outlives it.</summary>
    private static readonly string[] SessionScopes = [Scopes.Jobs, Scopes.Credits, Scopes.Nodes];

    private static readonly IntrospectSessionResponse Inactive = new(false);

    public static async Task<Ok<IntrospectSessionResponse>> HandleAsync(
        IntrospectSessionRequest request, NpgsqlDataSource database, PlatformKeys keys, IOptions<IdentityOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!Secrets.LooksLike(Secrets.SessionPrefix, request.Session))
        {
            return TypedResults.Ok(Inactive);
        }

        var now = time.GetUtcNow();
        await using var command = database.CreateCommand(
            """
            SELECT s.session_id, s.tenant_id, t.display_name, d.encryption_key_id, s.expires_at
            FROM sessions s JOIN devices d USING (device_id) JOIN tenants t ON t.tenant_id = s.tenant_id
            WHERE s.secret_hash = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND d.revoked_at IS NULL
            """);
        command.Parameters.Add(new() { Value = Secrets.Hash(request.Session) });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return TypedResults.Ok(Inactive);
        }

        var session = new BrowserSession(
            reader.GetGuid(0), new TenantId(reader.GetGuid(1)), reader.GetString(2), reader.GetString(3), await reader.GetFieldValueAsync<DateTimeOffset>(4, cancellationToken));
        var until = now.AddSeconds(options.Value.InternalTokenSeconds);
        var token = AccessTokens.Create(keys.TokenKey, new AccessTokenContent(
            session.SessionId, "session", session.TenantId, SessionScopes, ConfirmationThumbprint: null, now, session.ExpiresAt < until ? session.ExpiresAt : until));
        return TypedResults.Ok(new IntrospectSessionResponse(true, token, session));
    }
}
