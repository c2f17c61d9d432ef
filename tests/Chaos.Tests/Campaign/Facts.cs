using System.Text.Json;
using Npgsql;
using RenderTrust.Chaos.Tests.Platform;
using StackExchange.Redis;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <param name="Expected">Facts that the tables know.</param>
/// <param name="Missing">Those that the broker has no message of.</param>
/// <param name="Doubled">Those with messages of two ids, which an inbox would take for two facts.</param>
/// <param name="Repeats">Messages that came more than once under their own id, which an inbox drops.</param>
internal sealed record TopicFacts(string Topic, int Expected, int Missing, int Doubled, int Repeats)
{
    public override string ToString() => $"{Topic} {Expected} facts, {Missing} missing, {Doubled} doubled, {Repeats} repeats dropped by id";
}

/// <summary>
/// Reads a topic's stream as a consumer with an inbox would and compares the effect with the tables: every fact once. The outbox delivers at least
/// once, so that repeats are allowed as long as they carry the same id.
/// </summary>
internal static class Facts
{
    public static async Task<IReadOnlyList<TopicFacts>> ReadAsync(ChaosPlatform platform, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        using var broker = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{platform.PortOf("redis")},password={platform.BrokerPassword}");
        var ended = await SetAsync(database, "SELECT 'jobEnded/' || task_id FROM scheduler.jobs", cancellationToken);
        var used = await SetAsync(database, "SELECT 'used/' || usage_event_id FROM ledger.usage_events", cancellationToken);
        var custody = await SetAsync(
            database, "SELECT DISTINCT 'custody/' || j.task_id || '/' || a.unit_index / 500 FROM scheduler.attempts a JOIN scheduler.jobs j USING (job_id)", cancellationToken);
        var moved = await SetAsync(database, "SELECT 'transfer/' || transfer_id FROM ledger.transfers", cancellationToken);
        return
        [
            await CompareAsync(broker, "usage", [.. ended, .. used]),
            await CompareAsync(broker, "evidence", [.. ended, .. custody, .. moved]),
            await CompareAsync(broker, "ledger-events", moved),
        ];
    }

    private static async Task<TopicFacts> CompareAsync(ConnectionMultiplexer broker, string topic, HashSet<string> expected)
    {
        var messages = 0;
        var byId = new Dictionary<string, string>();
        foreach (var entry in await broker.GetDatabase().StreamRangeAsync(topic))
        {
            using var envelope = JsonDocument.Parse((string)entry["data"]!);
            if (FactOf(envelope.RootElement.GetProperty("data")) is { } fact)
            {
                messages++;
                byId[envelope.RootElement.GetProperty("id").GetString()!] = fact;
            }
        }

        var effects = byId.Values.GroupBy(told => told).ToDictionary(group => group.Key, group => group.Count());
        Assert.Empty(effects.Keys.Except(expected));
        return new TopicFacts(topic, expected.Count, expected.Count(fact => !effects.ContainsKey(fact)), effects.Values.Count(count => count > 1), messages - byId.Count);
    }

    /// <summary>What the message is about, as the tables name it; null for what other services tell, which the campaign does not provoke.</summary>
    private static string? FactOf(JsonElement data) => Text(data, "kind") switch
    {
        _ when Text(data, "transferId") is { } transfer => $"transfer/{transfer}",
        _ when Text(data, "usageEventId") is { } usage => $"used/{usage}",
        "jobEnded" => $"jobEnded/{Text(data, "taskId")}",
        "scheduler.jobEnded" => $"jobEnded/{Text(data, "subject")}",
        "scheduler.jobCustody" => $"custody/{Text(data, "subject")}/{data.GetProperty("facts").GetProperty("page").GetInt32()}",
        _ => null,
    };

    private static string? Text(JsonElement data, string name) => data.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static async Task<HashSet<string>> SetAsync(NpgsqlDataSource database, string sql, CancellationToken cancellationToken)
    {
        var found = new HashSet<string>();
        await using var command = database.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(reader.GetString(0));
        }

        return found;
    }
}
