using System.Collections.Concurrent;
using System.Diagnostics;
using k8s;
using k8s.Models;

namespace RenderTrust.K3s.Tests;

/// <summary>What <c>kubectl kustomize</c> makes of a folder under <c>k3s/</c>, read strictly: a member that its kind does not have is an error.</summary>
internal sealed class Manifests
{
    public static readonly string[] Folders = ["base", "agent", "overlays/cloud", "overlays/edge"];

    private static readonly ConcurrentDictionary<string, Lazy<Manifests>> Built = new();

    private static readonly Dictionary<string, Type> CustomKinds = new()
    {
        ["dapr.io/v1alpha1/Component"] = typeof(DaprComponent),
        ["dapr.io/v1alpha1/Configuration"] = typeof(DaprConfiguration),
        ["keda.sh/v1alpha1/ScaledObject"] = typeof(ScaledObject),
        ["keda.sh/v1alpha1/TriggerAuthentication"] = typeof(TriggerAuthentication),
    };

    private Manifests(IReadOnlyList<object> objects) => All = objects;

    public IReadOnlyList<object> All { get; }

    public static string Root { get; } = Path.Combine(Repository, "k3s");

    public static string Repository => TestKit.RepositoryFolder.Root;

    public static Manifests Of(string folder) => Built.GetOrAdd(folder, name => new(() => Build(name))).Value;

    public IEnumerable<T> Each<T>() => All.OfType<T>();

    /// <summary>Deployments, stateful sets and daemon sets alike.</summary>
    public IEnumerable<Workload> Workloads() => All.Select(item => item switch
    {
        V1Deployment deployment => new Workload(deployment.Metadata, deployment.Spec.Selector, deployment.Spec.Template),
        V1StatefulSet set => new Workload(set.Metadata, set.Spec.Selector, set.Spec.Template),
        V1DaemonSet set => new Workload(set.Metadata, set.Spec.Selector, set.Spec.Template),
        _ => null,
    }).OfType<Workload>();

    private static Manifests Build(string folder)
    {
        var start = new ProcessStartInfo("kubectl", ["kustomize", Path.Combine(Root, folder)]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var kubectl = Process.Start(start)!;
        var errors = kubectl.StandardError.ReadToEndAsync();
        var yaml = kubectl.StandardOutput.ReadToEnd();
        kubectl.WaitForExit();
        Assert.True(kubectl.ExitCode == 0, $"kubectl kustomize k3s/{folder} ended with {kubectl.ExitCode}: {errors.Result}");
        return new Manifests(KubernetesYaml.LoadAllFromString(yaml, CustomKinds, strict: true));
    }
}

internal sealed record Workload(V1ObjectMeta Metadata, V1LabelSelector Selector, V1PodTemplateSpec Template)
{
    public string Name => Metadata.Name;

    public IEnumerable<V1Container> Containers => [.. Template.Spec.InitContainers ?? [], .. Template.Spec.Containers];

    public IDictionary<string, string> Annotations => Template.Metadata.Annotations ?? new Dictionary<string, string>();

    public bool HasSidecar => Annotations.TryGetValue("dapr.io/enabled", out var enabled) && enabled == "true";
}
