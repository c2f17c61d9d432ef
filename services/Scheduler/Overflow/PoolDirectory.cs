using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>
/// The pool as others know it: identity states its key to creators, and <c>overflow_keys</c> says here which nodes and jobs belong to it.
/// Publishing and withdrawing may be repeated; a crash in between is made good at the next start.
/// </summary>
internal sealed partial class PoolDirectory(NpgsqlDataSource dataSource, AppInvoker apps, ILogger<PoolDirectory> logger)
{
    private const string Name = "overflow";
    private const int TokenSeconds = 3600;

    public async Task PublishAsync(OverflowPoolKey key, CancellationToken cancellationToken)
    {
        // Ours first: a creator may seal to the key, and an agent connect with it, as soon as identity states it.
        await using (var batch = dataSource.CreateBatch())
        {
            batch.Add("INSERT INTO overflow_keys (recipient_key_id) VALUES ($1) ON CONFLICT DO NOTHING", key.KeyId);
            batch.Add("DELETE FROM overflow_keys WHERE recipient_key_id <> $1", key.KeyId);
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        var pool = await apps.PostAsync<PublishOverflowPoolRequest, OverflowPool>(
            Apps.Identity, "/internal/overflow-pools", new PublishOverflowPoolRequest(Name, key.Key), cancellationToken);
        LogPublished(logger, pool.KeyId, pool.OwnerTenantId);
    }

    public async Task<IReadOnlyList<string>> KeysAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command("SELECT recipient_key_id FROM overflow_keys");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var keys = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            keys.Add(reader.GetString(0));
        }

        return keys;
    }

    public async Task WithdrawAsync(string keyId, CancellationToken cancellationToken)
    {
        await apps.PostAsync(Apps.Identity, "/internal/overflow-pools/withdrawn", new WithdrawOverflowPoolRequest(keyId), cancellationToken);

        // Last: while the row is there, identity is told again.
        await using var command = dataSource.Command("DELETE FROM overflow_keys WHERE recipient_key_id = $1", keyId);
        await command.ExecuteNonQueryAsync(cancellationToken);
        LogWithdrawn(logger, keyId);
    }

    /// <summary>A one-time token with which one agent joins.</summary>
    public async Task<string> NewTokenAsync(string agentName, CancellationToken cancellationToken) =>
        (await apps.PostAsync<NodeTokenRequest, NodeTokenResponse>(
            Apps.Identity, "/internal/overflow-pools/tokens", new NodeTokenRequest(agentName, TokenSeconds), cancellationToken)).Token;

    [LoggerMessage(LogLevel.Information, "The overflow pool with key {KeyId} is published; its agents belong to tenant {TenantId}")]
    private static partial void LogPublished(ILogger logger, string keyId, TenantId tenantId);

    [LoggerMessage(LogLevel.Information, "Overflow is switched off: key {KeyId} is withdrawn")]
    private static partial void LogWithdrawn(ILogger logger, string keyId);
}
