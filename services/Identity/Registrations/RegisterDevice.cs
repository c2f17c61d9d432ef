using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>A new creator with a first device. One key is one device: repeating a registration answers the same ids.</summary>
internal static partial class RegisterDevice
{
    public static async Task<Results<Ok<RegisterResponse>, ProblemHttpResult>> HandleAsync(
        RegisterRequest request, NpgsqlDataSource database, Outbox outbox, ServiceApp app, IOptions<IdentityOptions> options,
        TimeProvider time, ILogger<RegisterRequest> logger, CancellationToken cancellationToken)
    {
        if (!(options.Value.OpenRegistration ?? app.IsDevelopment))
        {
            return Problems.Refuse(StatusCodes.Status403Forbidden, "registrationClosed", "Registration is closed on this platform. Ask its operator, or set Identity:OpenRegistration.");
        }

        if (!EcKeys.TryImport(request.DeviceKey, out var key))
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badDeviceKey", "deviceKey must be an EC public key on P-256 with base64url coordinates of 32 bytes.");
        }

        key.Dispose();
        if (!EcKeys.TryReadPoint(request.EncryptionKey, out var point))
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badEncryptionKey", "encryptionKey must be the base64url of an uncompressed 65-byte point of P-256.");
        }

        var refusal = await CheckProofAsync(request, time.GetUtcNow());
        if (refusal is not null)
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badProof", refusal);
        }

        var response = await StoreAsync(request, point, database, time, cancellationToken);
        if (response is null)
        {
            return Problems.Refuse(StatusCodes.Status409Conflict, "revoked", "This device key was revoked. Make a new key and register it.");
        }

        outbox.Wake();
        LogRegistered(logger, response.TenantId, response.DeviceId);
        return TypedResults.Ok(response);
    }

    private static async Task<string?> CheckProofAsync(RegisterRequest request, DateTimeOffset now)
    {
        if (Assertions.Read(request.Proof) is not { } jwt)
        {
            return "proof must be one ES256 JWT of at most 4096 characters, signed with deviceKey.";
        }

        var (assertion, explanation) = await Assertions.VerifyAsync(jwt, request.DeviceKey, Assertions.RegistrationAudience, now);
        if (assertion is null)
        {
            return explanation.Replace("assertion", "proof", StringComparison.Ordinal);
        }

        // Binds the encryption key to the device: nobody can register a key that the device did not name.
        return jwt.TryGetPayloadValue<string>("enc", out var encryptionKey) && encryptionKey == request.EncryptionKey
            ? null
            : "The proof's claim enc must equal encryptionKey.";
    }

    /// <summary>Null when the key belongs to a revoked device.</summary>
    private static async Task<RegisterResponse?> StoreAsync(RegisterRequest request, byte[] point, NpgsqlDataSource database, TimeProvider time, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var made = new RegisterResponse(new TenantId(Guid.CreateVersion7(now)), new DeviceId(Guid.CreateVersion7(now)));
        var thumbprint = EcKeys.Thumbprint(request.DeviceKey);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // Registrations of one key take turns, so that two at once make one tenant.
        await using (var turn = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", connection, transaction) { Parameters = { new() { Value = thumbprint } } })
        {
            await turn.ExecuteNonQueryAsync(cancellationToken);
        }

        await using (var find = new NpgsqlCommand("SELECT tenant_id, device_id, revoked_at IS NOT NULL FROM devices WHERE key_thumbprint = $1", connection, transaction) { Parameters = { new() { Value = thumbprint } } })
        await using (var reader = await find.ExecuteReaderAsync(cancellationToken))
        {
            if (await reader.ReadAsync(cancellationToken))
            {
                return reader.GetBoolean(2) ? null : new RegisterResponse(new TenantId(reader.GetGuid(0)), new DeviceId(reader.GetGuid(1)));
            }
        }

        await using (var insert = new NpgsqlCommand(
            """
            WITH tenant AS (INSERT INTO tenants (tenant_id, display_name, created_at) VALUES ($1, $2, $9) RETURNING tenant_id)
            INSERT INTO devices (device_id, tenant_id, name, key_thumbprint, key_x, key_y, encryption_key, encryption_key_id, created_at)
            SELECT $3, tenant_id, $4, $5, $6, $7, $8, $10, $9 FROM tenant
            """, connection, transaction))
        {
            foreach (var value in new object[]
            {
                made.TenantId.Value, request.DisplayName, made.DeviceId.Value, request.DeviceName, thumbprint, request.DeviceKey.X, request.DeviceKey.Y,
                request.EncryptionKey, now.UtcDateTime, EcKeys.KeyId(point),
            })
            {
                insert.Parameters.Add(new() { Value = value });
            }

            await insert.ExecuteNonQueryAsync(cancellationToken);
        }

        await Evidence.AddAsync(
            transaction, time, "identity.deviceRegistered", made.TenantId, made.DeviceId.Value,
            new() { ["keyThumbprint"] = thumbprint, ["encryptionKeyId"] = EcKeys.KeyId(point) }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return made;
    }

    [LoggerMessage(LogLevel.Information, "Registered tenant {TenantId} with device {DeviceId}")]
    private static partial void LogRegistered(ILogger logger, TenantId tenantId, DeviceId deviceId);
}
