using System.Globalization;
using RabbitMQ.Client.Exceptions;
using RenderTrust.Sidecar.Bindings;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.Resilience;
using RenderTrust.Sidecar.Secrets;
using RenderTrust.Sidecar.State;
using StackExchange.Redis;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>
/// Turns definitions into running components. Databases, buses and in-memory stores are shared between the apps of the
/// host; what depends on the app (prefixes, consumer ids, scopes) is made for each.
/// </summary>
internal sealed partial class ComponentFactory(TimeProvider time, ILoggerFactory loggers) : IAsyncDisposable
{
    private readonly Dictionary<string, IStateStore> stores = [];
    private readonly Dictionary<string, InMemoryBus> buses = [];
    private readonly List<IAsyncDisposable> owned = [];
    private readonly ILogger logger = loggers.CreateLogger<ComponentFactory>();

    public async Task<AppComponents> CreateAsync(
        AppDefinition app, Resources resources, AppConfiguration configuration, AppResilience resilience, CancellationToken cancellationToken)
    {
        var visible = resources.Components.Where(component => component.IsVisibleTo(app.AppId)).ToList();
        var secretStores = new Dictionary<string, ISecretStore>();
        var stateStores = new Dictionary<string, StateComponent>();
        var pubSubs = new Dictionary<string, PubSubComponent>();
        var crons = new List<CronBinding>();

        // Secret stores first: the others may take their settings from them.
        foreach (var definition in visible.OrderBy(component => component.Type.StartsWith("secretstores.", StringComparison.Ordinal) ? 0 : 1))
        {
            try
            {
                var settings = new ComponentSettings(definition, app, secretStores);
                switch (definition.Type)
                {
                    case "secretstores.local.env":
                        secretStores[definition.Name] = new EnvironmentSecretStore(settings.Text("prefix") ?? "", app.Environment);
                        break;
                    case "secretstores.local.file":
                        secretStores[definition.Name] = ReadSecretFile(settings, app);
                        break;
                    case "state.in-memory":
                        stateStores[definition.Name] = Wrap(definition, settings, app, Shared($"in-memory|{definition.File}|{definition.Name}", () => new InMemoryStateStore(time)));
                        break;
                    case "state.postgresql" or "state.postgres":
                        stateStores[definition.Name] = Wrap(definition, settings, app, await OpenPostgresAsync(definition, settings, cancellationToken));
                        break;
                    case "state.redis":
                        stateStores[definition.Name] = Wrap(definition, settings, app, await OpenRedisStateAsync(settings));
                        break;
                    case "state.sqlite":
                        stateStores[definition.Name] = Wrap(definition, settings, app, await OpenSqliteAsync(definition, settings, app, cancellationToken));
                        break;
                    case "pubsub.in-memory":
                        pubSubs[definition.Name] = Wrap(definition, settings, app, OpenInMemoryBus(definition));
                        break;
                    case "pubsub.redis":
                        pubSubs[definition.Name] = Wrap(definition, settings, app, await OpenRedisAsync(settings, app));
                        break;
                    case "pubsub.rabbitmq":
                        pubSubs[definition.Name] = Wrap(definition, settings, app, await OpenRabbitMqAsync(settings, app, cancellationToken));
                        break;
                    case "bindings.cron":
                        crons.Add(ReadCron(definition, settings));
                        break;
                    default:
                        throw new ConfigurationException(definition.File, definition.TypeLine, "spec.type", "is not served by the embedded sidecar", definition.Type,
                            "use state.postgresql, state.redis, state.sqlite, state.in-memory, pubsub.redis, pubsub.rabbitmq, pubsub.in-memory, secretstores.local.env, secretstores.local.file or bindings.cron, or run with the real daprd");
                }
            }
            catch (ConfigurationException e) when (definition.IgnoreErrors)
            {
                LogIgnored(logger, app.AppId, definition.Name, e.Message);
            }
        }

        RefuseSecondActorStore(visible, stateStores);
        foreach (var store in stateStores.Values)
        {
            store.Guard(resilience.Outbound(store.Name));
        }

        foreach (var pubSub in pubSubs.Values)
        {
            pubSub.Guard(resilience.Inbound(pubSub.Name), resilience.Outbound(pubSub.Name));
        }

        // Only what the app asks for is under its scopes: components have taken their settings from the stores themselves.
        var scoped = secretStores.ToDictionary(
            entry => entry.Key, entry => configuration.ScopeOf(entry.Key) is { } scope ? new ScopedSecretStore(entry.Key, entry.Value, scope) : entry.Value);
        return new AppComponents(visible, stateStores, pubSubs, scoped, crons);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var item in owned)
        {
            await item.DisposeAsync();
        }
    }

    private static void RefuseSecondActorStore(List<ComponentDefinition> visible, Dictionary<string, StateComponent> stores)
    {
        var actorStores = visible.Where(definition => stores.TryGetValue(definition.Name, out var store) && store.IsActorStore).ToList();
        if (actorStores.Count > 1)
        {
            throw new ConfigurationException(actorStores[1].File, actorStores[1].Line, "spec.metadata.actorStateStore",
                $"is already true in component {actorStores[0].Name}", actorStores[1].Name, "only one component may be the actor state store");
        }
    }

    private static PubSubComponent Wrap(ComponentDefinition definition, ComponentSettings settings, AppDefinition app, IBroker broker) =>
        new(definition.Name, broker, TopicScopes.Read(settings.All, app.AppId));

    private InMemoryBroker OpenInMemoryBus(ComponentDefinition definition)
    {
        var key = $"{definition.File}|{definition.Name}";
        if (!buses.TryGetValue(key, out var bus))
        {
            buses[key] = bus = new InMemoryBus();
        }

        return new InMemoryBroker(bus, time, loggers.CreateLogger<InMemoryBroker>());
    }

    private async Task<IBroker> OpenRedisAsync(ComponentSettings settings, AppDefinition app)
    {
        var connection = RedisSettings.Read(settings, $"dapr-{app.AppId}");
        var options = new RedisBrokerOptions
        {
            Connection = connection,
            ConsumerId = settings.Text("consumerID") is { Length: > 0 } id ? id : app.AppId,
            ConsumerIsTransient = settings.HasUuid("consumerID"),
            RedeliverInterval = settings.Duration("redeliverInterval", TimeSpan.FromMilliseconds(1)) ?? TimeSpan.FromSeconds(60),
            ProcessingTimeout = settings.Duration("processingTimeout", TimeSpan.FromMilliseconds(1)) ?? TimeSpan.FromSeconds(15),
            QueueDepth = settings.Number("queueDepth", 1, 100_000) ?? 100,
            Concurrency = settings.Number("concurrency", 1, 10_000) ?? 10,
            MaxLengthApprox = settings.Number("maxLenApprox") ?? 0,
            StreamTtl = settings.Duration("streamTTL", TimeSpan.FromSeconds(1), DaprDuration.Longest) ?? TimeSpan.Zero,
        };
        try
        {
            var broker = await RedisBroker.OpenAsync(options, time, loggers.CreateLogger<RedisBroker>());
            owned.Add(broker);
            return broker;
        }
        catch (RedisConnectionException e)
        {
            throw RedisSettings.Unreachable(settings, e);
        }
    }

    private async Task<IBroker> OpenRabbitMqAsync(ComponentSettings settings, AppDefinition app, CancellationToken cancellationToken)
    {
        settings.RefuseAny("enableDeadLetter", "saslExternal", "caCert", "clientCert", "clientKey", "autoAck", "exchangeKind", "maxLenBytes");
        if (!Uri.TryCreate(settings.Text("connectionString") ?? "", UriKind.Absolute, out var address) || address.Scheme is not ("amqp" or "amqps"))
        {
            // Without its value: there is a password in it.
            throw settings.Error("connectionString", "is no amqp or amqps address", null, "write amqp://user:password@host:5672/vhost");
        }

        var concurrency = settings.Text("concurrency") switch
        {
            null or "" or "parallel" => (ushort?)null,
            "single" => (ushort)1,
            var other => throw settings.Error("concurrency", "is not known", other, "write parallel or single"),
        };
        var prefetch = (ushort)Math.Min(settings.Number("prefetchCount") is { } given and > 0 ? given : 64, ushort.MaxValue);
        var options = new RabbitMqBrokerOptions
        {
            Address = address,
            ClientName = $"dapr-{app.AppId}",
            ConsumerId = settings.Text("consumerID") is { Length: > 0 } id ? id : app.AppId,
            Durable = settings.Flag("durable"),
            DeletedWhenUnused = settings.Text("deletedWhenUnused") is not { Length: > 0 } || settings.Flag("deletedWhenUnused"),
            PublisherConfirm = settings.Flag("publisherConfirm"),
            Persistent = settings.Number("deliveryMode") == 2,
            RequeueInFailure = settings.Flag("requeueInFailure"),
            Prefetch = prefetch,
            Concurrency = concurrency ?? prefetch,
            ReconnectWait = TimeSpan.FromSeconds(settings.Number("reconnectWaitSeconds", most: 86_400) is { } wait and > 0 ? wait : 3),
            MessageTtl = settings.Number("ttlInSeconds") is { } ttl and > 0 ? TimeSpan.FromSeconds(ttl) : null,
            MaxLength = settings.Number("maxLen") ?? 0,
        };
        try
        {
            var broker = await RabbitMqBroker.OpenAsync(options, time, loggers.CreateLogger<RabbitMqBroker>(), cancellationToken);
            owned.Add(broker);
            return broker;
        }
        catch (BrokerUnreachableException e)
        {
            throw settings.Error("connectionString", $"cannot be connected to ({e.InnerException?.Message ?? e.Message})", $"{address.Host}:{address.Port}{address.AbsolutePath}",
                "start RabbitMQ, or correct address, user, password or virtual host");
        }
    }

    private static FileSecretStore ReadSecretFile(ComponentSettings settings, AppDefinition app)
    {
        var path = settings.Text("secretsFile") ?? throw settings.Error("secretsFile", "is missing", null, "name a JSON file");
        var full = Path.GetFullPath(path, app.Directory);
        try
        {
            return new FileSecretStore(File.ReadAllBytes(full), settings.Text("nestedSeparator") is { Length: > 0 } separator ? separator : ":", settings.Flag("multiValued"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Text.Json.JsonException or InvalidOperationException)
        {
            throw settings.Error("secretsFile", $"cannot be used ({e.Message})", full, "name a readable file with one JSON object");
        }
    }

    private static CronBinding ReadCron(ComponentDefinition definition, ComponentSettings settings)
    {
        var text = settings.Text("schedule") ?? throw settings.Error("schedule", "is missing", null, "write for example '@every 30s' or '0 3 * * *'");
        if (!CronSchedule.TryParse(text, out var schedule))
        {
            throw settings.Error("schedule", "is not a cron schedule", text, "write five or six cron fields, '@every 30s' or '@hourly'");
        }

        var route = settings.Text("route") ?? definition.Name;
        return new CronBinding(definition.Name, route.StartsWith('/') ? route : "/" + route,
            settings.Text("direction")?.Contains("input", StringComparison.Ordinal) is true, schedule);
    }

    [LoggerMessage(LogLevel.Warning, "App {AppId} goes without component {Component} (ignoreErrors): {Cause}")]
    private static partial void LogIgnored(ILogger logger, string appId, string component, string cause);
}

/// <summary>A component's metadata for one app: references looked up, placeholders filled in.</summary>
internal sealed class ComponentSettings
{
    private readonly ComponentDefinition definition;
    private readonly Dictionary<string, (string Value, ComponentSetting Source)> values = new(StringComparer.OrdinalIgnoreCase);

    public ComponentSettings(ComponentDefinition definition, AppDefinition app, Dictionary<string, ISecretStore> secretStores)
    {
        this.definition = definition;
        foreach (var setting in definition.Settings)
        {
            values[setting.Name] = (Fill(Resolve(setting, app, secretStores), app), setting);
        }
    }

    public IReadOnlyDictionary<string, string> All => values.ToDictionary(entry => entry.Key, entry => entry.Value.Value, StringComparer.OrdinalIgnoreCase);

    public string? Text(string name) => values.TryGetValue(name, out var entry) ? entry.Value : null;

    public bool HasUuid(string name) => values.TryGetValue(name, out var entry) && entry.Source.Value?.Contains("{uuid}", StringComparison.Ordinal) is true;

    public bool Flag(string name) => Text(name) switch
    {
        null or "" => false,
        var text when text.ToLowerInvariant() is "true" or "t" or "1" or "y" or "yes" or "on" => true,
        var text when text.ToLowerInvariant() is "false" or "f" or "0" or "n" or "no" or "off" => false,
        { } text => throw Error(name, "is not true or false", text, "write true or false"),
    };

    public int? Number(string name, int least = 0, int most = int.MaxValue) => Text(name) is not { Length: > 0 } text
        ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw Error(name, $"is not a whole number {(most == int.MaxValue ? $"of {least} or more" : $"from {least} to {most}")}", text, "write one");

    /// <param name="most">By default what a timer can wait for.</param>
    public TimeSpan? Duration(string name, TimeSpan bareUnit, TimeSpan? most = null) => Text(name) is not { Length: > 0 } text
        ? null
        : DaprDuration.TryParseSetting(text, bareUnit, out var duration) && duration <= (most ?? DaprDuration.LongestWait) && duration >= -DaprDuration.Longest
            ? duration
            : throw Error(name, $"is not a duration of at most {(most ?? DaprDuration.LongestWait).TotalDays} days", text, "write for example 30s or 5m");

    /// <summary>A limit on how long something may take: zero and less are none.</summary>
    public TimeSpan? Limit(string name, TimeSpan bareUnit) => Duration(name, bareUnit) is not { } limit
        ? null
        : limit > TimeSpan.Zero ? limit : throw Error(name, "is no time limit", Text(name), "write for example 20s");

    /// <summary>Table names cannot be parameters of a statement, so only plain ones are let through.</summary>
    public string? Identifier(string name) => Text(name) is not { Length: > 0 } text
        ? null
        : text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.') && !char.IsAsciiDigit(text[0])
            ? text
            : throw Error(name, "is not a table name", text, "use letters, digits, '_' and '.'");

    public void RefuseAny(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (Text(name) is { Length: > 0 } text)
            {
                throw Error(name, "is not served by the embedded sidecar", text, "remove it, or run with the real daprd");
            }
        }
    }

    /// <summary>Refuses switches that are on; writing their default is no mistake.</summary>
    public void RefuseSet(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (Flag(name))
            {
                throw Error(name, "is not served by the embedded sidecar", Text(name), "remove it, or run with the real daprd");
            }
        }
    }

    public ConfigurationException Error(string name, string what, string? value, string remedy) =>
        new(definition.File, values.TryGetValue(name, out var entry) ? entry.Source.Line : definition.Line,
            $"{definition.Name}: spec.metadata.{name}", what, value, remedy);

    private string Resolve(ComponentSetting setting, AppDefinition app, Dictionary<string, ISecretStore> secretStores)
    {
        if (setting.EnvRef is { } variable)
        {
            return (app.Environment.TryGetValue(variable, out var own) ? own : Environment.GetEnvironmentVariable(variable))
                ?? throw new ConfigurationException(definition.File, setting.Line, $"{definition.Name}: spec.metadata.{setting.Name}.envRef",
                    "names a variable that is not set", variable, $"set {variable} for the sidecar host or in the app's env of dapr.yaml");
        }

        if (setting.SecretName is not { } secret)
        {
            return setting.Value ?? "";
        }

        var field = $"{definition.Name}: spec.metadata.{setting.Name}.secretKeyRef";
        if (definition.SecretStore is not { } storeName || !secretStores.TryGetValue(storeName, out var store))
        {
            throw new ConfigurationException(definition.File, setting.Line, field, "has no secret store", definition.SecretStore ?? "",
                "name one of this app's secret stores in auth.secretStore");
        }

        return store.Get(secret)?.GetValueOrDefault(setting.SecretKey!)
            ?? throw new ConfigurationException(definition.File, setting.Line, field, $"is not in secret store {storeName}", $"{secret}/{setting.SecretKey}",
                "add the secret or correct its name and key");
    }

    private static string Fill(string value, AppDefinition app) => !value.Contains('{', StringComparison.Ordinal)
        ? value
        : value
            .Replace("{uuid}", Guid.CreateVersion7().ToString(), StringComparison.Ordinal)
            .Replace("{appID}", app.AppId, StringComparison.Ordinal)
            .Replace("{namespace}", $"{Environment.GetEnvironmentVariable("NAMESPACE") ?? ""}.{app.AppId}", StringComparison.Ordinal)
            .Replace("{podName}", Environment.GetEnvironmentVariable("POD_NAME") ?? Environment.MachineName, StringComparison.Ordinal);
}
