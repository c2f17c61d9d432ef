using System.Text.Json;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;

namespace RenderTrust.Identity;

internal enum RevocationKind
{
    Device,
    Node,
    ApiKey,
}

/// <summary>What is told on topic <c>revocations</c>: only that there is something new; the list itself is asked for.</summary>
internal sealed record RevocationsChanged(long Version);

/// <summary>The only place where something is revoked: the version rises, the broadcast and the evidence leave, in the caller's transaction.</summary>
internal sealed partial class RevocationLog(TimeProvider time, ILogger<RevocationLog> logger)
{
    /// <param name="expiresAt">When nothing that the subject holds is valid any more by itself; the entry may go then.</param>
    public async Task AddAsync(NpgsqlTransaction transaction, RevocationKind kind, Guid subject, TenantId tenant, DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var kindName = JsonNamingPolicy.CamelCase.ConvertName(kind.ToString());
        await using var rise = new NpgsqlCommand("UPDATE revocation_version SET version = version + 1 RETURNING version", transaction.Connection, transaction);
        var version = (long)(await rise.ExecuteScalarAsync(cancellationToken))!;
        await using var insert = new NpgsqlCommand(
            "INSERT INTO revocations (kind, subject, version, revoked_at, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", transaction.Connection, transaction)
        {
            Parameters =
            {
                new() { Value = kindName }, new() { Value = subject }, new() { Value = version },
                new() { Value = now.UtcDateTime }, new() { Value = expiresAt.UtcDateTime },
            },
        };
        await insert.ExecuteNonQueryAsync(cancellationToken);
        await Outbox.AddAsync(
            transaction, Guid.CreateVersion7(now), Topics.Broadcast, Topics.Revocations, JsonSerializer.Serialize(new RevocationsChanged(version), WireJson.Options), cancellationToken);
        await Evidence.AddAsync(transaction, time, $"identity.{kindName}Revoked", tenant, subject, [], cancellationToken);
        LogRevoked(logger, kind, subject, version);
    }

    public static async Task<RevocationList> ReadAsync(NpgsqlDataSource database, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // One statement, one snapshot: the version belongs to exactly these entries.
        await using var command = database.CreateCommand(
            """
            SELECT v.version, r.kind, r.subject FROM revocation_version v
            LEFT JOIN revocations r ON r.expires_at > $1
            """);
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var version = 0L;
        List<Guid> devices = [], apiKeys = [];
        List<NodeId> nodes = [];
        while (await reader.ReadAsync(cancellationToken))
        {
            version = reader.GetInt64(0);
            if (await reader.IsDBNullAsync(1, cancellationToken))
            {
                continue;
            }

            var subject = reader.GetGuid(2);
            switch (reader.GetString(1))
            {
                case "device":
                    devices.Add(subject);
                    break;
                case "node":
                    nodes.Add(new NodeId(subject));
                    break;
                default:
                    apiKeys.Add(subject);
                    break;
            }
        }

        return new RevocationList(version, devices, nodes, apiKeys);
    }

    [LoggerMessage(LogLevel.Information, "Revoked {Kind} {Subject}, revocations are at version {Version}")]
    private static partial void LogRevoked(ILogger logger, RevocationKind kind, Guid subject, long version);
}
