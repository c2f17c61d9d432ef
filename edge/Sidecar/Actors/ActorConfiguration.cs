using System.Text.Json;
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

    public static ActorConfiguration Read(byte[] json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            return None;
        }

        var common = ReadSettings(root, Defaults);
        var types = Entities(root).ToDictionary(type => type, _ => common);
        if (root.TryGetProperty("entitiesConfig", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in list.EnumerateArray())
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
            ? entities.EnumerateArray().Select(entity => entity.GetString()).OfType<string>()
            : [];

    private static ActorTypeSettings ReadSettings(JsonElement item, ActorTypeSettings fallback)
    {
        var reentrancy = item.TryGetProperty("reentrancy", out var value) && value.ValueKind == JsonValueKind.Object ? value : default;
        return new ActorTypeSettings(
            Duration(item, "actorIdleTimeout") ?? fallback.IdleTimeout,
            Duration(item, "actorScanInterval") ?? fallback.ScanInterval,
            Duration(item, "drainOngoingCallTimeout") ?? fallback.DrainTimeout,
            Flag(item, "drainRebalancedActors") ?? fallback.DrainRebalanced,
            Flag(reentrancy, "enabled") ?? fallback.ReentrancyEnabled,
            reentrancy.ValueKind == JsonValueKind.Object && reentrancy.TryGetProperty("maxStackDepth", out var depth) && depth.TryGetInt32(out var max) && max > 0
                ? max
                : fallback.ReentrancyDepthMax);
    }

    private static TimeSpan? Duration(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && DaprDuration.TryParseGo(value.GetString(), out var duration)
            ? duration
            : null;

    private static bool? Flag(JsonElement item, string name) =>
        item.ValueKind == JsonValueKind.Object && item.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : null;
}
