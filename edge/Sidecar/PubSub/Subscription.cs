using System.Text.Json;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>A subscription made ready: rules parsed, declarative and programmatic ones merged.</summary>
internal sealed record Subscription(
    string PubSub, string Topic, IReadOnlyList<(string Text, RoutingRule Rule, string Path)> Rules, string? DefaultRoute,
    IReadOnlyDictionary<string, string> Metadata, string? DeadLetterTopic, bool IsDeclarative, BulkOptions? Bulk = null)
{
    public bool IsRaw => CloudEvent.IsRaw(Metadata);

    public string? RouteFor(JsonElement envelope)
    {
        foreach (var (_, rule, path) in Rules)
        {
            if (rule.Matches(envelope))
            {
                return path;
            }
        }

        return DefaultRoute;
    }

    /// <summary>Where both name the same topic, the app's own words win over the YAML.</summary>
    public static IReadOnlyList<Subscription> Merge(IReadOnlyList<Subscription> declarative, IReadOnlyList<Subscription> programmatic) =>
        [.. programmatic, .. declarative.Where(d => !programmatic.Any(p => p.PubSub == d.PubSub && p.Topic == d.Topic))];

    public static Subscription From(SubscriptionDefinition definition) => new(
        definition.PubSub,
        definition.Topic,
        [.. definition.Rules.Where(rule => !string.IsNullOrEmpty(rule.Match)).Select(rule => (rule.Match!, ParseRule(rule), Rooted(rule.Path)))],
        // A rule without match catches everything, which is what a default is.
        definition.Rules.Where(rule => string.IsNullOrEmpty(rule.Match)).Select(rule => Rooted(rule.Path)).FirstOrDefault()
            ?? (definition.DefaultRoute is { } route ? Rooted(route) : null),
        definition.Metadata,
        definition.DeadLetterTopic,
        definition.IsDeclarative,
        definition.Bulk);

    /// <summary>Reads the answer of <c>GET /dapr/subscribe</c>.</summary>
    public static IReadOnlyList<Subscription> Read(byte[] json, string appId)
    {
        try
        {
            using var document = StrictJson.Parse(json);
            return document.RootElement.ValueKind == JsonValueKind.Array
                ? [.. document.RootElement.EnumerateArray().Select((item, index) => From(ReadItem(item, index, appId)))]
                : [];
        }
        catch (JsonException e)
        {
            throw new ConfigurationException($"{appId}/dapr/subscribe", (e.LineNumber ?? 0) + 1, "body", $"is not JSON ({e.Message})", null,
                "answer with an array of {pubsubname, topic, route}");
        }
    }

    private static SubscriptionDefinition ReadItem(JsonElement item, int index, string appId)
    {
        var source = $"{appId}/dapr/subscribe";
        var routes = Find(item, "routes") ?? default;
        var rules = Find(routes, "rules") is { ValueKind: JsonValueKind.Array } list
            ? list.EnumerateArray().Select(rule => new SubscriptionRule(
                Text(rule, "match"), Text(rule, "path") ?? "", source, index + 1, "routes.rules.match")).ToList()
            : [];
        return new SubscriptionDefinition
        {
            PubSub = Text(item, "pubsubname") ?? "",
            Topic = Text(item, "topic") ?? "",
            Rules = rules,
            DefaultRoute = Text(item, "route") ?? Text(routes, "default"),
            Metadata = Find(item, "metadata") is { ValueKind: JsonValueKind.Object } metadata
                ? DaprHttp.ReadTexts(metadata)
                : new Dictionary<string, string>(),
            DeadLetterTopic = Text(item, "deadLetterTopic") is { Length: > 0 } topic ? topic : null,
            Bulk = Find(item, "bulkSubscribe") is { } bulk && Find(bulk, "enabled") is { ValueKind: JsonValueKind.True }
                ? new BulkOptions(
                    Number(bulk, "maxMessagesCount") ?? BulkOptions.DefaultMaxMessages,
                    TimeSpan.FromMilliseconds(Number(bulk, "maxAwaitDurationMs") ?? BulkOptions.DefaultMaxAwaitMilliseconds))
                : null,
        };
    }

    // daprd reads these names without regard to case ("pubsubname" and "pubsubName" are both in use).
    private static JsonElement? Find(JsonElement parent, string name)
    {
        if (parent.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in parent.EnumerateObject())
            {
                if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                {
                    return property.Value;
                }
            }
        }

        return null;
    }

    private static string? Text(JsonElement parent, string name) =>
        Find(parent, name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    // Zero and less stand for the default, as they do where the field is left out.
    private static int? Number(JsonElement parent, string name) =>
        Find(parent, name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var number) && number > 0 ? number : null;

    private static string Rooted(string path) => path.StartsWith('/') ? path : "/" + path;

    private static RoutingRule ParseRule(SubscriptionRule rule)
    {
        try
        {
            return RoutingRule.Parse(rule.Match!);
        }
        catch (RuleException e)
        {
            throw new ConfigurationException(rule.File, rule.Line, rule.Field, $"cannot be evaluated ({e.Message})", rule.Match,
                "use event fields with == != < > in && || !, has(), startsWith(), endsWith(), contains()");
        }
    }
}
