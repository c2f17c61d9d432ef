using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Outcome of a publication, in the order of the checks.</summary>
internal enum PublishPoolOutcome
{
    AlreadyPublished,
    KeyInUse,
    Published,
}

/// <summary>
/// States the key of the platform's overflow pool, in place of an earlier one. Only the scheduler may: it is the one that starts overflow agents.
/// Repeating it is safe.
/// </summary>
internal static partial class PublishPool
{
    public static async Task<Results<Ok<OverflowPool>, ProblemHttpResult>> HandleAsync(
        PublishOverflowPoolRequest request, NpgsqlDataSource database, Outbox outbox, TimeProvider time, ILogger<OverflowPool> logger, CancellationToken cancellationToken)
    {
        if (!EcKeys.TryReadPoint(request.Key, out var point))
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badEncryptionKey", "key must be the base64url of an uncompressed 65-byte point of P-256.");
        }

        var keyId = EcKeys.KeyId(point);
        var (outcome, pool) = await PublishAsync(request, keyId, database, time, cancellationToken);
        LogDecided(logger, outcome, keyId);
        if (pool is null)
        {
            return Problems.Refuse(StatusCodes.Status409Conflict, "keyInUse", $"Key {keyId} is a node's, and jobs are sealed to it without opting in to overflow. Make a key for the pool alone.");
        }

        outbox.Wake();
        return TypedResults.Ok(pool);
    }

    private static async Task<(PublishPoolOutcome Outcome, OverflowPool? Pool)> PublishAsync(
        PublishOverflowPoolRequest request, string keyId, NpgsqlDataSource database, TimeProvider time, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // No node may enrol with this key between the look and the commit: it would be stated as a node's, and everyone's jobs sealed to the pool.
        await using (var turn = new NpgsqlCommand("LOCK TABLE nodes, overflow_pools IN SHARE ROW EXCLUSIVE MODE", connection, transaction))
        {
            await turn.ExecuteNonQueryAsync(cancellationToken);
        }

        var owner = await PlatformTenantAsync(transaction, now, cancellationToken);
        if (await FindPublishedAsync(transaction, keyId, cancellationToken) is { } earlier)
        {
            return (PublishPoolOutcome.AlreadyPublished, new OverflowPool(earlier, owner, keyId));
        }

        await using var find = new NpgsqlCommand("SELECT EXISTS (SELECT 1 FROM nodes WHERE encryption_key_id = $1 AND kind = 'node')", connection, transaction)
        {
            Parameters = { new() { Value = keyId } },
        };
        if (await find.ExecuteScalarAsync(cancellationToken) is true)
        {
            return (PublishPoolOutcome.KeyInUse, null);
        }

        var poolId = await InsertAsync(transaction, request, keyId, now, cancellationToken);
        await Evidence.AddAsync(transaction, time, "identity.overflowPoolPublished", owner, poolId, new() { ["encryptionKeyId"] = keyId }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return (PublishPoolOutcome.Published, new OverflowPool(poolId, owner, keyId));
    }

    /// <summary>Whose overflow agents are, and who earns what they earn: a tenant without devices, so that nobody can sign in as it.</summary>
    private static async Task<TenantId> PlatformTenantAsync(NpgsqlTransaction transaction, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var find = new NpgsqlCommand("SELECT tenant_id FROM platform_tenant", transaction.Connection, transaction);
        if (await find.ExecuteScalarAsync(cancellationToken) is Guid known)
        {
            return new TenantId(known);
        }

        var made = new TenantId(Guid.CreateVersion7(now));
        await using var insert = new NpgsqlCommand(
            """
            WITH tenant AS (INSERT INTO tenants (tenant_id, display_name, created_at) VALUES ($1, 'RenderTrust platform', $2) RETURNING tenant_id)
            INSERT INTO platform_tenant (tenant_id) SELECT tenant_id FROM tenant
            """,
            transaction.Connection, transaction)
        {
            Parameters = { new() { Value = made.Value }, new() { Value = now.UtcDateTime } },
        };
        await insert.ExecuteNonQueryAsync(cancellationToken);
        return made;
    }

    private static async Task<Guid?> FindPublishedAsync(NpgsqlTransaction transaction, string keyId, CancellationToken cancellationToken)
    {
        await using var find = new NpgsqlCommand(
            "SELECT pool_id FROM overflow_pools WHERE encryption_key_id = $1 AND withdrawn_at IS NULL", transaction.Connection, transaction)
        {
            Parameters = { new() { Value = keyId } },
        };
        return (Guid?)await find.ExecuteScalarAsync(cancellationToken);
    }

    private static async Task<Guid> InsertAsync(NpgsqlTransaction transaction, PublishOverflowPoolRequest request, string keyId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(transaction.Connection, transaction);
        batch.BatchCommands.Add(new("UPDATE overflow_pools SET withdrawn_at = $1 WHERE withdrawn_at IS NULL") { Parameters = { new() { Value = now.UtcDateTime } } });
        batch.BatchCommands.Add(new(
            """
            INSERT INTO overflow_pools (pool_id, name, encryption_key, encryption_key_id, published_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (encryption_key_id) DO UPDATE SET name = $2, published_at = $5, withdrawn_at = NULL
            RETURNING pool_id
            """)
        {
            Parameters =
            {
                new() { Value = Guid.CreateVersion7(now) }, new() { Value = request.Name }, new() { Value = request.Key }, new() { Value = keyId }, new() { Value = now.UtcDateTime },
            },
        });
        return (Guid)(await batch.ExecuteScalarAsync(cancellationToken))!;
    }

    [LoggerMessage(LogLevel.Information, "Overflow pool with key {KeyId}: {Outcome}")]
    private static partial void LogDecided(ILogger logger, PublishPoolOutcome outcome, string keyId);
}
