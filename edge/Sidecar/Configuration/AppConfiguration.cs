using System.Globalization;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>Which secrets of one store an app may read.</summary>
internal sealed record SecretScope(string StoreName, bool AllowsByDefault, IReadOnlySet<string> Allowed, IReadOnlySet<string> Denied)
{
    /// <summary>A list of allowed names decides alone; else a denied name; else the default.</summary>
    public bool Allows(string name) => Allowed.Count > 0 ? Allowed.Contains(name) : !Denied.Contains(name) && AllowsByDefault;
}

/// <summary>
/// What <c>kind: Configuration</c> says about one app's sidecar. Fields that would have to guard something and cannot here are refused;
/// those that only tune daprd are named in <see cref="WithoutEffect"/>.
/// </summary>
internal sealed record AppConfiguration
{
    public static readonly AppConfiguration Default = new();

    /// <summary>daprd's optional feature of time to live for actor state.</summary>
    public const string ActorStateTtl = "ActorStateTTL";

    /// <summary>Share of traces that start here and are marked as sampled, from 0 to 1.</summary>
    public double SamplingRate { get; init; } = 1;
    public IReadOnlySet<string> Features { get; init; } = new HashSet<string>();
    public IReadOnlyList<SecretScope> SecretScopes { get; init; } = [];

    /// <summary>Null lets every API be called.</summary>
    public ApiRules? Apis { get; init; }
    public IReadOnlyList<string> WithoutEffect { get; init; } = [];

    public SecretScope? ScopeOf(string secretStore) => SecretScopes.FirstOrDefault(scope => scope.StoreName == secretStore);

    public static AppConfiguration Read(string? file)
    {
        if (file is null)
        {
            return Default;
        }

        var documents = YamlFile.Read(file);
        if (documents.Count != 1)
        {
            throw new ConfigurationException(file, 1, "document", $"has {documents.Count} documents", null, "a configuration is exactly one document");
        }

        var document = documents[0];
        document.RefuseUnknown("apiVersion", "kind", "metadata", "spec");
        if (document.Text("kind") is not "Configuration")
        {
            throw document.Error("kind", "is not Configuration", document.Text("kind"), "write kind: Configuration");
        }

        if (document.Text("apiVersion") is not "dapr.io/v1alpha1")
        {
            throw document.Error("apiVersion", "is not a configuration's version", document.Text("apiVersion"), "write dapr.io/v1alpha1");
        }

        return document.Map("spec") is { } spec ? ReadSpec(spec) : Default;
    }

    private static AppConfiguration ReadSpec(YamlMap spec)
    {
        string[] unused = ["metric", "metrics", "mtls", "nameResolution", "logging", "workflow"];
        spec.RefuseUnknown([.. unused, "tracing", "features", "secrets", "api", "accessControl", "httpPipeline", "appHttpPipeline", "components"]);
        foreach (var pipeline in new[] { "httpPipeline", "appHttpPipeline" })
        {
            if (spec.Map(pipeline)?.Maps("handlers") is { Count: > 0 } handlers)
            {
                throw handlers[0].Error("name", $"is middleware of {pipeline}, which the embedded sidecar does not run", handlers[0].Text("name"),
                    "remove it, or run with the real daprd: calls must not pass a guard that is not there");
            }
        }

        if (spec.Map("accessControl") is { } access && (access.Text("defaultAction") is "deny" || access.Maps("policies").Count > 0))
        {
            throw access.Error(access.Text("defaultAction") is "deny" ? "defaultAction" : "policies", "is not applied by the embedded sidecar",
                access.Text("defaultAction"), "remove it, or run with the real daprd");
        }

        if (spec.Map("components") is { } components && components.Texts("deny") is { Count: > 0 } denied)
        {
            throw components.Error("deny", "is not applied by the embedded sidecar", string.Join(", ", denied), "remove the components' files, or run with the real daprd");
        }

        var tracing = spec.Map("tracing");
        tracing?.RefuseUnknown("samplingRate", "otel", "zipkin", "stdout");
        return new AppConfiguration
        {
            SamplingRate = tracing is null ? 1 : ReadRate(tracing),
            Features = spec.Maps("features").Where(feature => feature.Flag("enabled") is true)
                .Select(feature => feature.RequireText("name", "name the feature")).ToHashSet(StringComparer.Ordinal),
            SecretScopes = [.. (spec.Map("secrets")?.Maps("scopes") ?? []).Select(ReadScope)],
            Apis = spec.Map("api") is { } api ? ApiRules.Read(api) : null,
            WithoutEffect =
            [
                .. unused.Where(field => spec.Keys.Contains(field)).Select(field => $"{spec.File}:{spec.LineOf(field)}: spec.{field}"),
                .. (tracing?.Keys ?? []).Where(field => field is not "samplingRate").Select(field => $"{spec.File}:{tracing!.LineOf(field)}: spec.tracing.{field}"),
            ],
        };
    }

    private static double ReadRate(YamlMap tracing) => tracing.Text("samplingRate") is not { Length: > 0 } text
        ? 1
        : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var rate) && rate is >= 0 and <= 1
            ? rate
            : throw tracing.Error("samplingRate", "is not a share", text, "write a number from 0 to 1");

    private static SecretScope ReadScope(YamlMap scope)
    {
        scope.RefuseUnknown("storeName", "defaultAccess", "allowedSecrets", "deniedSecrets");
        return new SecretScope(
            scope.RequireText("storeName", "name the secret store"),
            scope.Text("defaultAccess") switch
            {
                null or "" or "allow" => true,
                "deny" => false,
                { } other => throw scope.Error("defaultAccess", "is not known", other, "write allow or deny"),
            },
            scope.Texts("allowedSecrets").ToHashSet(StringComparer.Ordinal),
            scope.Texts("deniedSecrets").ToHashSet(StringComparer.Ordinal));
    }
}
