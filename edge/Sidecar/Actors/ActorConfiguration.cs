using System.Text.Json;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Actors;

internal sealed record ActorTypeSettings(
    TimeSpan IdleTimeout, TimeSpan ScanInterval, TimeSpan DrainTimeout, bool DrainRebalanced, bool ReentrancyEnabled, int ReentrancyDepthMax);

/// <summary>What an app says about its actors in <c>GET /dapr/config</c>.</summary>
internal sealed record ActorConfiguration(IReadOnlyDictionary<string, ActorTypeSettings> Types)
{
    private static readonly ActorTypeSettings Defaults = new(
        TimeSpan.FromMinutes(60), TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(2), true, false, 32);

    public static ActorConfiguration None { get; } = new(new Dictionary<string, ActorTypeSettings>());

    public static ActorConfiguration Read(byte[] json, string appId)
    {
        try
        {
            using var document = StrictJson.Parse(json);
            return Read(document);
        }
        catch (JsonException e)
        {
            throw new ConfigurationException($"{appId}/dapr/config", (e.LineNumber ?? 0) + 1, "body", $"is not JSON ({e.Message})", null,
                "answer with {\"entities\": [the app's actor types]}");
        }
    }

    private static ActorConfiguration Read(JsonDocument document)
    {
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            return None;
        }

        var common = ReadSettings(root, Defaults);
        var types = Entities(root).Distinct().ToDictionary(type => type, _ => common);
        if (root.TryGetProperty("entitiesConfig", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.Object))
            {
                var settings = ReadSettings(item, common);
                foreach (var type in Entities(item))
                {
                    types[type] = settings;
                }
            }
        }

        return new ActorConfiguration(types);
    }

    private static IEnumerable<string> Entities(JsonElement item) =>
        item.TryGetProperty("entities", out var entities) && entities.ValueKind == JsonValueKind.Array
            ? entities.EnumerateArray().Where(entity => entity.ValueKind == JsonValueKind.String).Select(entity => entity.GetString()!)
            : [];

    private static ActorTypeSettings ReadSettings(JsonElement item, ActorTypeSettings fallback)
    {
        var reentrancy = item.TryGetProperty("reentrancy", out var value) && value.ValueKind == JsonValueKind.Object ? value : default;
        return new ActorTypeSettings(
            Duration(item, "actorIdleTimeout") ?? fallback.IdleTimeout,
            // Without a pause between them the scans would take a core.
            Duration(item, "actorScanInterval") is { } scan && scan > TimeSpan.Zero ? scan : fallback.ScanInterval,
            Duration(item, "drainOngoingCallTimeout") ?? fallback.DrainTimeout,
            Flag(item, "drainRebalancedActors") ?? fallback.DrainRebalanced,
            Flag(reentrancy, "enabled") ?? fallback.ReentrancyEnabled,
            reentrancy.ValueKind == JsonValueKind.Object && reentrancy.TryGetProperty("maxStackDepth", out var depth) && depth.ValueKind == JsonValueKind.Number && depth.TryGetInt32(out var max) && max > 0
                ? max
                : fallback.ReentrancyDepthMax);
    }

    private static TimeSpan? Duration(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && DaprDuration.TryParseGo(value.GetString(), out var duration) && duration >= TimeSpan.Zero && duration <= DaprDuration.LongestWait
            ? duration
            : null;

    private static bool? Flag(JsonElement item, string name) =>
        item.ValueKind == JsonValueKind.Object && item.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : null;
}
