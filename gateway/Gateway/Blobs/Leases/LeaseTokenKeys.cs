using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Npgsql;

namespace RenderTrust.Gateway.Blobs;

internal sealed record LeaseTokenKey(string KeyId, byte[] Secret, DateTimeOffset CreatedAt);

/// <summary>The signing keys as this replica knows them: loaded before the first request, so that signing and checking never wait.</summary>
internal sealed class LeaseTokenKeys(NpgsqlDataSource database, IOptions<LeaseTokenOptions> options, TimeProvider time)
{
    private const int SecretBytes = 32;
    private const int KeyIdBytes = 8;
    private volatile IReadOnlyList<LeaseTokenKey> keys = [];

    /// <summary>The newest key that every replica has had the time to read; the oldest when none has settled yet.</summary>
    public LeaseTokenKey Signing()
    {
        var known = keys;
        var settled = time.GetUtcNow().AddSeconds(-3 * options.Value.RefreshSeconds);
        return known.FirstOrDefault(key => key.CreatedAt <= settled) ?? known[^1];
    }

    public LeaseTokenKey? Find(string keyId) => keys.FirstOrDefault(key => key.KeyId == keyId);

    /// <summary>Reads all keys; makes a new one when the newest is old, and removes those that no living token can name.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // Two replicas must not both find the newest key too old.
        await using (var take = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended('gateway:lease_token_keys', 0))", connection, transaction))
        {
            await take.ExecuteNonQueryAsync(cancellationToken);
        }

        await using (var make = new NpgsqlCommand(
            "INSERT INTO lease_token_keys (key_id, secret, created_at) SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM lease_token_keys WHERE created_at > $4)", connection, transaction))
        {
            make.With(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(KeyIdBytes)), RandomNumberGenerator.GetBytes(SecretBytes), now, now.AddHours(-options.Value.RotationHours));
            await make.ExecuteNonQueryAsync(cancellationToken);
        }

        await using (var remove = new NpgsqlCommand("DELETE FROM lease_token_keys WHERE created_at <= $1", connection, transaction))
        {
            remove.With(now.AddHours(-options.Value.RotationHours - options.Value.KeepHours));
            await remove.ExecuteNonQueryAsync(cancellationToken);
        }

        var read = new List<LeaseTokenKey>();
        await using (var select = new NpgsqlCommand("SELECT key_id, secret, created_at FROM lease_token_keys ORDER BY created_at DESC, key_id", connection, transaction))
        await using (var reader = await select.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                read.Add(new LeaseTokenKey(reader.GetString(0), await reader.GetFieldValueAsync<byte[]>(1, cancellationToken), await reader.GetFieldValueAsync<DateTimeOffset>(2, cancellationToken)));
            }
        }

        await transaction.CommitAsync(cancellationToken);
        keys = read;
    }
}

/// <summary>Loads the keys before the listeners open, then keeps them fresh.</summary>
internal sealed partial class RotateLeaseTokenKeysLoop(LeaseTokenKeys keys, IOptions<LeaseTokenOptions> options, TimeProvider time, ILogger<RotateLeaseTokenKeysLoop> logger) : BackgroundService
{
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await keys.RefreshAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromSeconds(options.Value.RefreshSeconds * (0.9 + (Random.Shared.NextDouble() * 0.2))), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await keys.RefreshAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // The database is away: the keys at hand stay good.
                LogFailed(logger, exception);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "Reading the lease token keys failed; those at hand are used on")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
