using k8s;
using k8s.Models;

namespace RenderTrust.K3s.Tests;

// Of each kind that a cluster gets from Dapr or KEDA, the members that our manifests use. Parsing is strict, so a misspelt member does not pass.
internal abstract class CustomKind : IKubernetesObject<V1ObjectMeta>
{
    public string ApiVersion { get; set; } = "";

    public string Kind { get; set; } = "";

    public V1ObjectMeta Metadata { get; set; } = new();
}

internal sealed class DaprComponent : CustomKind
{
    public ComponentSpec Spec { get; set; } = new();

    public IList<string> Scopes { get; set; } = [];

    internal sealed class ComponentSpec
    {
        public string Type { get; set; } = "";

        public string Version { get; set; } = "";

        public IList<Item> Metadata { get; set; } = [];
    }

    internal sealed class Item
    {
        public string Name { get; set; } = "";

        public string? Value { get; set; }

        public string? EnvRef { get; set; }
    }
}

internal sealed class DaprConfiguration : CustomKind
{
    public ConfigurationSpec Spec { get; set; } = new();

    internal sealed class ConfigurationSpec
    {
        public Tracing? Tracing { get; set; }

        public Switch? Metric { get; set; }

        public Switch? Mtls { get; set; }

        public AccessControl? AccessControl { get; set; }
    }

    internal sealed class Tracing
    {
        public string SamplingRate { get; set; } = "";

        public Otel? Otel { get; set; }
    }

    internal sealed class Otel
    {
        public string EndpointAddress { get; set; } = "";

        public string Protocol { get; set; } = "";

        public bool IsSecure { get; set; }
    }

    internal sealed class Switch
    {
        public bool Enabled { get; set; }
    }

    internal sealed class AccessControl
    {
        public string DefaultAction { get; set; } = "";

        public string TrustDomain { get; set; } = "";

        public IList<AppPolicy> Policies { get; set; } = [];
    }

    internal sealed class AppPolicy
    {
        public string AppId { get; set; } = "";

        public string DefaultAction { get; set; } = "";

        public string TrustDomain { get; set; } = "";

        public string Namespace { get; set; } = "";
    }
}

internal sealed class ScaledObject : CustomKind
{
    public ScaledSpec Spec { get; set; } = new();

    internal sealed class ScaledSpec
    {
        public Target ScaleTargetRef { get; set; } = new();

        public int MinReplicaCount { get; set; }

        public int MaxReplicaCount { get; set; }

        public int PollingInterval { get; set; }

        public int CooldownPeriod { get; set; }

        public IList<Trigger> Triggers { get; set; } = [];
    }

    internal sealed class Target
    {
        public string ApiVersion { get; set; } = "";

        public string Kind { get; set; } = "";

        public string Name { get; set; } = "";
    }

    internal sealed class Trigger
    {
        public string Type { get; set; } = "";

        public IDictionary<string, string> Metadata { get; set; } = new Dictionary<string, string>();

        public Reference? AuthenticationRef { get; set; }
    }

    internal sealed class Reference
    {
        public string Name { get; set; } = "";
    }
}

internal sealed class TriggerAuthentication : CustomKind
{
    public AuthenticationSpec Spec { get; set; } = new();

    internal sealed class AuthenticationSpec
    {
        public IList<SecretParameter> SecretTargetRef { get; set; } = [];
    }

    internal sealed class SecretParameter
    {
        public string Parameter { get; set; } = "";

        public string Name { get; set; } = "";

        public string Key { get; set; } = "";
    }
}
