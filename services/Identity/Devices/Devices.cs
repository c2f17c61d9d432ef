using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

internal static class GetMe
{
    public static async Task<Ok<MeResponse>> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT display_name FROM tenants WHERE tenant_id = $1");
        command.Parameters.Add(new() { Value = user.TenantId().Value });
        var name = (string?)await command.ExecuteScalarAsync(cancellationToken);
        return TypedResults.Ok(new MeResponse(user.TenantId(), name ?? "", user.SubjectId().ToString("D"), user.ScopeList()));
    }
}

internal static class ListDevices
{
    public static async Task<Ok<DeviceList>> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "SELECT device_id, name, created_at, revoked_at IS NOT NULL FROM devices WHERE tenant_id = $1 ORDER BY created_at LIMIT 1000");
        command.Parameters.Add(new() { Value = user.TenantId().Value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var devices = new List<DeviceItem>();
        while (await reader.ReadAsync(cancellationToken))
        {
            devices.Add(new DeviceItem(new DeviceId(reader.GetGuid(0)), reader.GetString(1), await reader.GetFieldValueAsync<DateTimeOffset>(2, cancellationToken), reader.GetBoolean(3)));
        }

        return TypedResults.Ok(new DeviceList(devices));
    }
}

/// <summary>Ends a device: its tokens are refused within seconds everywhere. Repeating it is safe.</summary>
internal static class RevokeDevice
{
    public static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        DeviceId deviceId, ClaimsPrincipal user, NpgsqlDataSource database, RevocationLog log, Outbox outbox, Revocations revocations,
        IOptions<IdentityOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var find = new NpgsqlCommand("SELECT revoked_at IS NOT NULL FROM devices WHERE device_id = $1 AND tenant_id = $2 FOR UPDATE", connection, transaction)
        {
            Parameters = { new() { Value = deviceId.Value }, new() { Value = user.TenantId().Value } },
        };
        switch (await find.ExecuteScalarAsync(cancellationToken))
        {
            case null:
                return Problems.Unknown("device", deviceId);
            case true:
                return TypedResults.NoContent();
            default:
                break;
        }

        var now = time.GetUtcNow();
        await using var update = new NpgsqlCommand("UPDATE devices SET revoked_at = $2 WHERE device_id = $1", connection, transaction)
        {
            Parameters = { new() { Value = deviceId.Value }, new() { Value = now.UtcDateTime } },
        };
        await update.ExecuteNonQueryAsync(cancellationToken);
        // Its last token ends by itself then; an hour more covers every clock.
        var expiresAt = now.AddSeconds(options.Value.AccessTokenSeconds).AddHours(1);
        await log.AddAsync(transaction, RevocationKind.Device, deviceId.Value, user.TenantId(), expiresAt, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        outbox.Wake();
        revocations.Wake();
        return TypedResults.NoContent();
    }
}
