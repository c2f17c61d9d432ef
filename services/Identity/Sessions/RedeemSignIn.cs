using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>
/// A browser comes with the code of a link and gets a session that stands for the device. The code is used up by the statement that marks it, so of two
/// browsers one gets in. An answer that gets lost leaves a session that nobody holds; it ends by itself, and the person makes a new link.
/// </summary>
internal static partial class RedeemSignIn
{
    /// <summary>A browser that came in the last second of a link still gets its key.</summary>
    public static readonly TimeSpan HandOverTime = TimeSpan.FromSeconds(60);

    private const int MaxSessions = 50;

    public static async Task<Ok<RedeemSignInResponse>> HandleAsync(
        RedeemSignInRequest request, NpgsqlDataSource database, Outbox outbox, IOptions<IdentityOptions> options,
        TimeProvider time, ILogger<RedeemSignInRequest> logger, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var found = await FindAsync(request.Code, now, transaction, cancellationToken);
        var outcome = Decide(found, request.BrowserKey, now);
        if (outcome != RedeemOutcome.SignedIn)
        {
            LogRefused(logger, outcome);
            return TypedResults.Ok(new RedeemSignInResponse(outcome));
        }

        var secret = Secrets.New(Secrets.SessionPrefix);
        var session = Guid.CreateVersion7(now);
        var expiresAt = now.AddHours(options.Value.SessionHours);
        await using (var insert = new NpgsqlCommand(
            """
            WITH session AS (
                INSERT INTO sessions (session_id, tenant_id, device_id, name, secret_hash, created_at, expires_at)
                VALUES ($2, $3, $4, $5, $6, $7, $8) RETURNING session_id)
            UPDATE sign_ins SET session_id = session.session_id, browser_key = $9, browser_proof = $10 FROM session WHERE sign_in_id = $1
            """, connection, transaction))
        {
            foreach (var value in new object[]
            {
                found!.SignInId, session, found.TenantId.Value, found.DeviceId, request.BrowserName, Secrets.Hash(secret), now.UtcDateTime, expiresAt.UtcDateTime,
                request.BrowserKey, request.Proof,
            })
            {
                insert.Parameters.Add(new() { Value = value });
            }

            await insert.ExecuteNonQueryAsync(cancellationToken);
        }

        await Evidence.AddAsync(transaction, time, "identity.browserSignedIn", found.TenantId, session, new() { ["deviceId"] = found.DeviceId.ToString("D") }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        outbox.Wake();
        LogSignedIn(logger, session, found.SignInId, found.DeviceId);
        return TypedResults.Ok(new RedeemSignInResponse(RedeemOutcome.SignedIn, found.SignInId, secret, expiresAt));
    }

    private static RedeemOutcome Decide(Found? found, string browserKey, DateTimeOffset now) => found switch
    {
        null or { Used: true } or { Revoked: true } => RedeemOutcome.UnknownCode,
        _ when found.ExpiresAt <= now => RedeemOutcome.Expired,
        _ when !EcKeys.TryReadPoint(browserKey, out _) => RedeemOutcome.BadBrowserKey,
        _ when found.Sessions >= MaxSessions => RedeemOutcome.TooManySessions,
        _ => RedeemOutcome.SignedIn,
    };

    private static async Task<Found?> FindAsync(string code, DateTimeOffset now, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT i.sign_in_id, i.device_id, d.tenant_id, i.expires_at, i.session_id IS NOT NULL, d.revoked_at IS NOT NULL,
                (SELECT count(*) FROM sessions s WHERE s.tenant_id = d.tenant_id AND s.ended_at IS NULL AND s.expires_at > $2)
            FROM sign_ins i JOIN devices d USING (device_id) WHERE i.code_hash = $1 FOR UPDATE OF i
            """, transaction.Connection, transaction)
        {
            Parameters = { new() { Value = Secrets.Hash(code) }, new() { Value = now.UtcDateTime } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new Found(
                reader.GetGuid(0), reader.GetGuid(1), new TenantId(reader.GetGuid(2)), await reader.GetFieldValueAsync<DateTimeOffset>(3, cancellationToken),
                reader.GetBoolean(4), reader.GetBoolean(5), reader.GetInt64(6))
            : null;
    }

    private sealed record Found(Guid SignInId, Guid DeviceId, TenantId TenantId, DateTimeOffset ExpiresAt, bool Used, bool Revoked, long Sessions);

    [LoggerMessage(LogLevel.Information, "Session {SessionId} began by sign-in {SignInId} of device {DeviceId}")]
    private static partial void LogSignedIn(ILogger logger, Guid sessionId, Guid signInId, Guid deviceId);

    [LoggerMessage(LogLevel.Warning, "A sign-in link was refused: {Outcome}")]
    private static partial void LogRefused(ILogger logger, RedeemOutcome outcome);
}
