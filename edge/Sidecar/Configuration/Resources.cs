namespace RenderTrust.Sidecar.Configuration;

/// <summary>One metadata entry of a component, before secrets and the environment are looked up.</summary>
internal sealed record ComponentSetting(string Name, string? Value, string? EnvRef, string? SecretName, string? SecretKey, long Line);

internal sealed record ComponentDefinition
{
    public required string Name { get; init; }
    public required string Type { get; init; }
    public required string Version { get; init; }
    public required string File { get; init; }
    public required long Line { get; init; }
    public required long TypeLine { get; init; }
    public IReadOnlyList<ComponentSetting> Settings { get; init; } = [];
    public IReadOnlyList<string> Scopes { get; init; } = [];
    public string? SecretStore { get; init; }
    public bool IgnoreErrors { get; init; }

    public bool IsVisibleTo(string appId) => Scopes.Count == 0 || Scopes.Contains(appId);
}

internal sealed record SubscriptionRule(string? Match, string Path, string File, long Line, string Field);

internal sealed record SubscriptionDefinition
{
    public required string PubSub { get; init; }
    public required string Topic { get; init; }
    public IReadOnlyList<SubscriptionRule> Rules { get; init; } = [];
    public string? DefaultRoute { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public string? DeadLetterTopic { get; init; }
    public IReadOnlyList<string> Scopes { get; init; } = [];
    public bool IsDeclarative { get; init; }
    public PubSub.BulkOptions? Bulk { get; init; }

    public bool IsVisibleTo(string appId) => Scopes.Count == 0 || Scopes.Contains(appId);
}

/// <summary>What the resource directories of one app hold.</summary>
/// <param name="Resiliencies">Documents of kind Resiliency as they stand: what they mean depends on which of them an app sees.</param>
/// <param name="Ignored">Documents that only daprd reads.</param>
internal sealed record Resources(
    IReadOnlyList<ComponentDefinition> Components, IReadOnlyList<SubscriptionDefinition> Subscriptions, IReadOnlyList<YamlMap> Resiliencies, IReadOnlyList<string> Ignored)
{
    public static Resources Read(IEnumerable<string> directories)
    {
        var components = new List<ComponentDefinition>();
        var subscriptions = new List<SubscriptionDefinition>();
        var resiliencies = new List<YamlMap>();
        var ignored = new List<string>();
        foreach (var directory in directories)
        {
            if (!Directory.Exists(directory))
            {
                throw new ConfigurationException(directory, 1, "resources path", "does not exist", directory, "create it or correct --resources-path");
            }

            var files = Directory.EnumerateFiles(directory)
                .Where(file => file.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase) || file.EndsWith(".yml", StringComparison.OrdinalIgnoreCase))
                .Order(StringComparer.Ordinal);
            foreach (var document in files.SelectMany(YamlFile.Read))
            {
                ReadDocument(document, components, subscriptions, resiliencies, ignored);
            }
        }

        return new Resources(components, subscriptions, resiliencies, ignored);
    }

    private static void ReadDocument(
        YamlMap document, List<ComponentDefinition> components, List<SubscriptionDefinition> subscriptions, List<YamlMap> resiliencies, List<string> ignored)
    {
        switch (document.RequireText("kind", "write kind: Component, Subscription or Resiliency"))
        {
            case "Component":
                var component = ReadComponent(document);
                if (components.Find(other => other.Name == component.Name) is { } first)
                {
                    throw document.RequireMap("metadata", "").Error("name", $"is already used at {first.File}:{first.Line}", component.Name, "give each component its own name");
                }

                components.Add(component);
                break;
            case "Subscription":
                subscriptions.Add(ReadSubscription(document));
                break;
            case "Resiliency":
                ResiliencyFile.Check(document);
                resiliencies.Add(document);
                break;
            case "Configuration" or "HTTPEndpoint" or "WorkflowAccessPolicy" or "MCPServer":
                ignored.Add($"{document.File}:{document.Line}: {document.Text("kind")}");
                break;
            case "Kustomization":
                // Lists the files of its folder for Kubernetes; nothing here is for a sidecar.
                break;
            case var other:
                throw document.Error("kind", "is not a Dapr resource", other, "write Component, Subscription or Resiliency");
        }
    }

    private static ComponentDefinition ReadComponent(YamlMap document)
    {
        document.RefuseUnknown("apiVersion", "kind", "metadata", "spec", "auth", "scopes");
        if (document.Text("apiVersion") is not "dapr.io/v1alpha1")
        {
            throw document.Error("apiVersion", "is not a component's version", document.Text("apiVersion"), "write dapr.io/v1alpha1");
        }

        var name = document.RequireMap("metadata", "add metadata.name").RequireText("name", "name the component");
        var spec = document.RequireMap("spec", "add spec.type and spec.version");
        spec.RefuseUnknown("type", "version", "metadata", "ignoreErrors", "initTimeout");
        return new ComponentDefinition
        {
            Name = name,
            Type = spec.RequireText("type", "for example state.postgresql"),
            Version = spec.Text("version") ?? "v1",
            File = document.File,
            Line = document.Line,
            TypeLine = spec.LineOf("type"),
            Settings = [.. spec.Maps("metadata").Select(ReadSetting)],
            Scopes = document.Texts("scopes"),
            SecretStore = document.Map("auth")?.Text("secretStore"),
            IgnoreErrors = spec.Flag("ignoreErrors") ?? false,
        };
    }

    private static ComponentSetting ReadSetting(YamlMap item)
    {
        item.RefuseUnknown("name", "value", "envRef", "secretKeyRef");
        var name = item.RequireText("name", "name the metadata entry");
        var envRef = item.Text("envRef");
        if (envRef is not null && (envRef == "APP_API_TOKEN" || envRef.StartsWith("DAPR_", StringComparison.OrdinalIgnoreCase)))
        {
            throw item.Error("envRef", "may not be read by a component", envRef, "use a variable other than APP_API_TOKEN and DAPR_*");
        }

        var secret = item.Map("secretKeyRef");
        var given = (item.Keys.Contains("value") ? 1 : 0) + (envRef is null ? 0 : 1) + (secret is null ? 0 : 1);
        if (given != 1)
        {
            throw item.Error("name", given == 0 ? "has no value" : "has several values", name, "give exactly one of value, envRef, secretKeyRef");
        }

        var secretName = secret?.RequireText("name", "name the secret");
        return new ComponentSetting(name, item.Text("value") ?? "", envRef, secretName, secret?.Text("key") ?? secretName, item.Line);
    }

    private static SubscriptionDefinition ReadSubscription(YamlMap document)
    {
        document.RefuseUnknown("apiVersion", "kind", "metadata", "spec", "scopes");
        var version = document.Text("apiVersion");
        if (version is not ("dapr.io/v2alpha1" or "dapr.io/v1alpha1"))
        {
            throw document.Error("apiVersion", "is not a subscription's version", version, "write dapr.io/v2alpha1");
        }

        var spec = document.RequireMap("spec", "add spec.pubsubname, spec.topic and spec.routes");
        spec.RefuseUnknown("pubsubname", "topic", "route", "routes", "metadata", "deadLetterTopic", "bulkSubscribe");
        var routes = spec.Map("routes");
        routes?.RefuseUnknown("rules", "default");
        var rules = (routes?.Maps("rules") ?? []).Select((rule, index) =>
        {
            rule.RefuseUnknown("match", "path");
            return new SubscriptionRule(rule.Text("match"), rule.RequireText("path", "name the app's route"), rule.File, rule.LineOf("match"),
                $"spec.routes.rules[{index}].match");
        }).ToList();
        var fallback = spec.Text("route") ?? routes?.Text("default");
        if (fallback is null && rules.Count == 0)
        {
            throw spec.Error("routes", "is missing", null, "add routes.default with the app's path");
        }

        return new SubscriptionDefinition
        {
            PubSub = spec.RequireText("pubsubname", "name the pub/sub component"),
            Topic = spec.RequireText("topic", "name the topic"),
            Rules = rules,
            DefaultRoute = fallback,
            Metadata = spec.TextMap("metadata"),
            DeadLetterTopic = spec.Text("deadLetterTopic"),
            Scopes = document.Texts("scopes"),
            IsDeclarative = true,
            Bulk = spec.Map("bulkSubscribe") is { } bulk && bulk.Flag("enabled") is true
                ? new PubSub.BulkOptions(
                    ReadCount(bulk, "maxMessagesCount") ?? PubSub.BulkOptions.DefaultMaxMessages,
                    TimeSpan.FromMilliseconds(ReadCount(bulk, "maxAwaitDurationMs") ?? PubSub.BulkOptions.DefaultMaxAwaitMilliseconds))
                : null,
        };
    }

    private static int? ReadCount(YamlMap map, string field) => map.Text(field) is not { Length: > 0 } text
        ? null
        : int.TryParse(text, out var number) && number > 0 ? number : throw map.Error(field, "is not a whole number above 0", text, "write for example 100");
}
