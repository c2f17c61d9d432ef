using System.Text;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>A good run file with one of every kind of file beside it, and then one of them made bad.</summary>
internal sealed class YamlFolder : IDisposable
{
    private static readonly (string Path, string Text)[] Good =
    [
        ("dapr.yaml", """
            version: 1
            name: garbage
            common:
              resourcesPaths: [./resources]
              configFilePath: ./config.yaml
              maxBodySize: 4Mi
              env:
                SHARED: a
            apps:
              - appID: one
                appDirPath: ./one
                appProtocol: http
                enableAppHealthCheck: false
                appHealthProbeInterval: 5
                appHealthProbeTimeout: 500
                appHealthThreshold: 3
                env:
                  OWN: b
              - appID: two
                appDirPath: ./two
                command: ["true", "x"]
            """),
        ("config.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Configuration
            metadata:
              name: config
            spec:
              tracing:
                samplingRate: "0.5"
              features:
                - name: ActorStateTTL
                  enabled: true
              secrets:
                scopes:
                  - storeName: environment
                    defaultAccess: deny
                    allowedSecrets: ["a", "b"]
              api:
                denied:
                  - name: metadata
                    version: v1.0
                    protocol: http
            """),
        ("resources/memory.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: memory
            spec:
              type: state.in-memory
              version: v1
              metadata:
                - name: actorStateStore
                  value: "true"
                - name: keyPrefix
                  value: name
                - name: reference
                  envRef: SHARED
            scopes: [one, two]
            """),
        ("resources/sqlite.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: sqlite
            spec:
              type: state.sqlite
              version: v1
              ignoreErrors: false
              metadata:
                - {name: connectionString, value: ":memory:"}
                - {name: tableName, value: state}
                - {name: timeout, value: 20s}
                - {name: busyTimeout, value: "2000"}
                - {name: cleanupInterval, value: 1h}
                - {name: disableWAL, value: "false"}
            """),
        ("resources/bus.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: bus
            spec:
              type: pubsub.in-memory
              version: v1
              metadata:
                - name: allowedTopics
                  value: "orders,others"
                - name: publishingScopes
                  value: "one=orders;two="
            """),
        ("resources/secrets.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: environment
            spec:
              type: secretstores.local.env
              version: v1
            ---
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: nightly
            spec:
              type: bindings.cron
              version: v1
              metadata:
                - {name: schedule, value: "0 3 * * *"}
                - {name: direction, value: input}
                - {name: route, value: /tick}
                - name: secret
                  secretKeyRef: {name: SHARED, key: SHARED}
            auth:
              secretStore: environment
            """),
        ("resources/brokers.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: streams
            spec:
              type: pubsub.redis
              version: v1
              metadata:
                - {name: redisHost, value: "127.0.0.1:1"}
                - {name: redisDB, value: "3"}
                - {name: enableTLS, value: "false"}
                - {name: processingTimeout, value: 15s}
                - {name: redeliverInterval, value: "60000"}
                - {name: queueDepth, value: "100"}
                - {name: concurrency, value: "10"}
                - {name: streamTTL, value: 24h}
            scopes: [nobody]
            ---
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: rabbit
            spec:
              type: pubsub.rabbitmq
              version: v1
              metadata:
                - {name: connectionString, value: "amqp://guest:guest@127.0.0.1:1/"}
                - {name: durable, value: "true"}
                - {name: prefetchCount, value: "64"}
                - {name: deliveryMode, value: "2"}
                - {name: reconnectWaitSeconds, value: "3"}
                - {name: concurrency, value: parallel}
            scopes: [nobody]
            ---
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: postgres
            spec:
              type: state.postgresql
              version: v2
              metadata:
                - {name: connectionString, value: "host=127.0.0.1 port=1 user=a database=a connect_timeout=2"}
                - {name: tablePrefix, value: a_}
                - {name: maxConns, value: "10"}
                - {name: timeoutInSeconds, value: "20"}
            scopes: [nobody]
            """),
        ("resources/subscriptions.yaml", """
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata:
              name: orders
            spec:
              pubsubname: bus
              topic: orders
              deadLetterTopic: others
              routes:
                rules:
                  - match: event.type == "a" && (event.data.n > 3 || !(event.source in ["x", "y"]))
                    path: /a
                default: /b
              metadata:
                rawPayload: "false"
              bulkSubscribe:
                enabled: true
                maxMessagesCount: 100
                maxAwaitDurationMs: 500
            scopes:
              - one
            """),
        ("resources/resiliency.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata:
              name: policies
            spec:
              policies:
                timeouts:
                  short: 5s
                retries:
                  again:
                    policy: exponential
                    duration: 500ms
                    maxInterval: 15s
                    maxRetries: 3
                    matching:
                      httpStatusCodes: 429,500-599
                      gRPCStatusCodes: 1,4-8
                circuitBreakers:
                  breaker:
                    maxRequests: 1
                    interval: 8s
                    timeout: 45s
                    trip: consecutiveFailures > 8
              targets:
                apps:
                  two:
                    timeout: short
                    retry: again
                    circuitBreaker: breaker
                actors:
                  Type:
                    timeout: short
                    circuitBreakerScope: type
                components:
                  memory:
                    outbound:
                      retry: again
            scopes: [one]
            """),
    ];

    /// <param name="random">Null leaves all files good.</param>
    public YamlFolder(Random? random)
    {
        foreach (var app in new[] { "one", "two", "resources" })
        {
            Directory.CreateDirectory(Path.Combine(Root, app));
        }

        var bad = random?.Next(Good.Length);
        for (var n = 0; n < Good.Length; n++)
        {
            var bytes = n == bad ? YamlGarbage.Of(Good[n].Text, random!) : Encoding.UTF8.GetBytes(Good[n].Text);
            var path = Path.Combine(Root, Good[n].Path);
            File.WriteAllBytes(path, bytes);
            Lines[path] = bytes.Count(b => b is (byte)'\n' or (byte)'\r') + 1;
        }

        Bad = bad is { } index ? Good[index].Path : "none";
    }

    public string Root { get; } = Directory.CreateTempSubdirectory("rt-yaml-").FullName;

    public string RunFile => Path.Combine(Root, "dapr.yaml");

    public string Bad { get; }

    /// <summary>How many lines each file has.</summary>
    public Dictionary<string, int> Lines { get; } = [];

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
