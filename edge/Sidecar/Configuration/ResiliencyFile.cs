using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>Reads <c>kind: Resiliency</c>. All documents that an app sees are one: a policy or target may be defined once.</summary>
internal sealed class ResiliencyFile
{
    // daprd's values where a policy does not say.
    private static readonly TimeSpan ConstantDelay = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ExponentialStart = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ExponentialMost = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan OpenFor = TimeSpan.FromSeconds(60);

    private readonly Dictionary<string, TimeSpan> timeouts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, RetryDefinition> retries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, BreakerDefinition> breakers = new(StringComparer.Ordinal);

    public static ResiliencyDefinition Read(IReadOnlyList<YamlMap> documents, string appId)
    {
        var visible = documents.Where(document => document.Texts("scopes") is var scopes && (scopes.Count == 0 || scopes.Contains(appId))).ToList();
        if (visible.Count == 0)
        {
            return ResiliencyDefinition.None;
        }

        var file = new ResiliencyFile();
        visible.ForEach(file.ReadPolicies);
        var (apps, actors, inbound, outbound) = (NewTargets(), NewTargets(), NewTargets(), NewTargets());
        foreach (var targets in visible.Select(document => document.Map("spec")?.Map("targets")).OfType<YamlMap>())
        {
            targets.RefuseUnknown("apps", "actors", "components");
            file.ReadTargets(targets.Map("apps"), apps, "circuitBreakerCacheSize");
            file.ReadTargets(targets.Map("actors"), actors, "circuitBreakerScope", "circuitBreakerCacheSize");
            foreach (var (name, component) in Children(targets.Map("components")))
            {
                component.RefuseUnknown("inbound", "outbound");
                file.ReadTarget(component.Map("inbound"), name, inbound);
                file.ReadTarget(component.Map("outbound"), name, outbound);
            }
        }

        return new ResiliencyDefinition
        {
            Apps = apps,
            Actors = actors,
            Inbound = inbound,
            Outbound = outbound,
            DefaultApp = file.Default("App"),
            DefaultActor = file.Default("Actor"),
            DefaultInbound = file.Default("ComponentInbound", "Component"),
            DefaultOutbound = file.Default("ComponentOutbound", "Component"),
        };
    }

    /// <summary>What every document must look like, whether or not an app sees it.</summary>
    public static void Check(YamlMap document)
    {
        document.RefuseUnknown("apiVersion", "kind", "metadata", "spec", "scopes");
        if (document.Text("apiVersion") is not "dapr.io/v1alpha1")
        {
            throw document.Error("apiVersion", "is not a resiliency's version", document.Text("apiVersion"), "write dapr.io/v1alpha1");
        }

        document.RequireMap("spec", "add spec.policies and spec.targets").RefuseUnknown("policies", "targets");
    }

    private static Dictionary<string, PolicyDefinition> NewTargets() => new(StringComparer.Ordinal);

    private static IEnumerable<(string Name, YamlMap Map)> Children(YamlMap? parent) =>
        parent is null ? [] : parent.Keys.Select(name => (name, parent.RequireMap(name, "indent its fields below it")));

    private void ReadPolicies(YamlMap document)
    {
        if (document.Map("spec")?.Map("policies") is not { } policies)
        {
            return;
        }

        policies.RefuseUnknown("timeouts", "retries", "circuitBreakers");
        if (policies.Map("timeouts") is { } times)
        {
            foreach (var name in times.Keys)
            {
                Add(timeouts, times, name, Duration(times, name) is { } limit && limit > TimeSpan.Zero
                    ? limit
                    : throw times.Error(name, "is not a time limit", times.Text(name), "write for example 5s"));
            }
        }

        foreach (var (name, retry) in Children(policies.Map("retries")))
        {
            Add(retries, policies.Map("retries")!, name, ReadRetry(retry));
        }

        foreach (var (name, breaker) in Children(policies.Map("circuitBreakers")))
        {
            Add(breakers, policies.Map("circuitBreakers")!, name, ReadBreaker(breaker));
        }
    }

    private static void Add<T>(Dictionary<string, T> policies, YamlMap parent, string name, T policy)
    {
        if (!policies.TryAdd(name, policy))
        {
            throw parent.Error(name, "is defined twice for one app", name, "give each policy its own name, or each document its scopes");
        }
    }

    private static RetryDefinition ReadRetry(YamlMap retry)
    {
        retry.RefuseUnknown("policy", "duration", "maxInterval", "maxRetries", "matching");
        var isExponential = retry.Text("policy") switch
        {
            null or "" or "constant" => false,
            "exponential" => true,
            { } other => throw retry.Error("policy", "is not known", other, "write constant or exponential"),
        };
        var most = retry.Text("maxRetries") is not { Length: > 0 } text
            ? -1
            : int.TryParse(text, out var number) && number >= -1 ? number : throw retry.Error("maxRetries", "is not a count", text, "write a whole number, or -1 to never give up");
        var matching = retry.Map("matching");
        matching?.RefuseUnknown("httpStatusCodes", "gRPCStatusCodes");
        return new RetryDefinition(
            isExponential,
            Duration(retry, "duration") ?? (isExponential ? ExponentialStart : ConstantDelay),
            Duration(retry, "maxInterval") ?? ExponentialMost,
            most,
            Codes(matching, "httpStatusCodes", 100, 599),
            Codes(matching, "gRPCStatusCodes", 0, 16));
    }

    private static BreakerDefinition ReadBreaker(YamlMap breaker)
    {
        breaker.RefuseUnknown("maxRequests", "interval", "timeout", "trip");
        var text = breaker.Text("trip") is { Length: > 0 } given ? given : "consecutiveFailures > 5";
        try
        {
            return new BreakerDefinition(
                breaker.Text("maxRequests") is not { Length: > 0 } most
                    ? 1
                    : int.TryParse(most, out var number) && number > 0 ? number : throw breaker.Error("maxRequests", "is not a count", most, "write a whole number above 0"),
                Duration(breaker, "interval") ?? TimeSpan.Zero,
                Duration(breaker, "timeout") is { } open && open > TimeSpan.Zero ? open : OpenFor,
                RoutingRule.Parse(text, Resilience.BreakerCounts.Names));
        }
        catch (RuleException e)
        {
            throw breaker.Error("trip", $"cannot be evaluated ({e.Message})", text, $"compare {string.Join(", ", Resilience.BreakerCounts.Names)} with numbers, for example consecutiveFailures > 5");
        }
    }

    private void ReadTargets(YamlMap? parent, Dictionary<string, PolicyDefinition> into, params string[] extraFields)
    {
        foreach (var (name, target) in Children(parent))
        {
            // One breaker for all actors of a type: one for each would let a thousand actors of a dead app fail five times each.
            if (extraFields.Contains("circuitBreakerScope") && target.Text("circuitBreaker") is { Length: > 0 } && target.Text("circuitBreakerScope") is not (null or "" or "type"))
            {
                throw target.Error("circuitBreakerScope", "is not served by the embedded sidecar", target.Text("circuitBreakerScope"), "write type, or run with the real daprd");
            }

            ReadTarget(target, name, into, extraFields);
        }
    }

    private void ReadTarget(YamlMap? target, string name, Dictionary<string, PolicyDefinition> into, params string[] extraFields)
    {
        if (target is null)
        {
            return;
        }

        target.RefuseUnknown(["timeout", "retry", "circuitBreaker", .. extraFields]);
        var policy = new PolicyDefinition(
            Named(target, "timeout", timeouts, out var timeout) ? timeout : null,
            Named(target, "retry", retries, out var retry) ? retry : null,
            Named(target, "circuitBreaker", breakers, out var breaker) ? breaker : null);
        if (!into.TryAdd(name, policy))
        {
            throw target.Error("timeout", "belongs to a target that another document names, too", name, "describe each target once");
        }
    }

    private static bool Named<T>(YamlMap target, string field, Dictionary<string, T> policies, out T? policy)
    {
        policy = default;
        if (target.Text(field) is not { Length: > 0 } name)
        {
            return false;
        }

        return policies.TryGetValue(name, out policy)
            ? true
            : throw target.Error(field, "is not a policy of this file", name, $"define it under spec.policies, or use one of: {string.Join(", ", policies.Keys)}");
    }

    /// <summary>Policies apply by their names where no target is named: the most specific name wins.</summary>
    private PolicyDefinition? Default(params ReadOnlySpan<string> kinds)
    {
        string[] prefixes = [.. kinds.ToArray().Select(kind => $"Default{kind}"), "Default"];
        var policy = new PolicyDefinition(
            prefixes.Select(prefix => timeouts.TryGetValue($"{prefix}TimeoutPolicy", out var limit) ? limit : (TimeSpan?)null).FirstOrDefault(found => found is not null),
            prefixes.Select(prefix => retries.GetValueOrDefault($"{prefix}RetryPolicy")).FirstOrDefault(found => found is not null),
            prefixes.Select(prefix => breakers.GetValueOrDefault($"{prefix}CircuitBreakerPolicy")).FirstOrDefault(found => found is not null));
        return policy.IsEmpty ? null : policy;
    }

    private static TimeSpan? Duration(YamlMap map, string field) => map.Text(field) is not { Length: > 0 } text
        ? null
        : DaprDuration.TryParseGo(text, out var duration) && duration >= TimeSpan.Zero && duration <= DaprDuration.LongestWait
            ? duration
            : throw map.Error(field, "is not a duration of at most 45 days", text, "write for example 500ms, 5s or 1m");

    private static CodeSet? Codes(YamlMap? matching, string field, int least, int most) => matching?.Text(field) is not { Length: > 0 } text
        ? null
        : CodeSet.TryParse(text, least, most, out var codes) ? codes : throw matching.Error(field, "is not a list of codes", text, $"write numbers from {least} to {most} and ranges, for example {(most == 16 ? "1,4-8" : "429,500-599")}");
}
