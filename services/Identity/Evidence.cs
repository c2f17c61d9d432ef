using System.Text.Json;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;

namespace RenderTrust.Identity;

/// <summary>A fact for the evidence log: ids and hashes only, nothing that names a person.</summary>
internal sealed record EvidenceFact(Guid FactId, string Kind, DateTimeOffset At, TenantId? TenantId, Guid Subject, IReadOnlyDictionary<string, string> Facts);

internal static class Evidence
{
    /// <summary>In the caller's transaction: the fact leaves if and only if it became true.</summary>
    public static Task AddAsync(
        NpgsqlTransaction transaction, TimeProvider time, string kind, TenantId? tenant, Guid subject, Dictionary<string, string> facts, CancellationToken cancellationToken)
    {
        var fact = new EvidenceFact(Guid.CreateVersion7(time.GetUtcNow()), kind, time.GetUtcNow(), tenant, subject, facts);
        return Outbox.AddAsync(transaction, fact.FactId, Topics.PubSub, Topics.Evidence, JsonSerializer.Serialize(fact, WireJson.Options), cancellationToken);
    }
}
