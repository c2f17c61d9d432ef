using System.Text.RegularExpressions;
using k8s.Models;
using YamlDotNet.RepresentationModel;

namespace RenderTrust.K3s.Tests;

public sealed partial class ManifestTests
{
    public static TheoryData<string> Folders => [.. Manifests.Folders];

    [Theory, MemberData(nameof(Folders))]
    public void Every_folder_builds_and_each_object_is_one_that_its_kind_allows(string folder) => Assert.NotEmpty(Manifests.Of(folder).All);

    [Theory, MemberData(nameof(Folders))]
    public void Every_container_runs_without_rights_on_a_read_only_root(string folder)
    {
        foreach (var workload in Manifests.Of(folder).Workloads())
        {
            var pod = workload.Template.Spec;
            Assert.True(pod.SecurityContext.RunAsNonRoot, workload.Name);
            Assert.True(pod.SecurityContext.RunAsUser > 0, workload.Name);
            Assert.Equal("RuntimeDefault", pod.SecurityContext.SeccompProfile.Type);
            Assert.False(pod.AutomountServiceAccountToken, workload.Name);
            Assert.NotEqual(true, pod.HostNetwork);
            Assert.NotEqual(true, pod.HostPID);
            Assert.All(workload.Containers, container =>
            {
                Assert.False(container.SecurityContext.AllowPrivilegeEscalation, container.Name);
                Assert.True(container.SecurityContext.ReadOnlyRootFilesystem, container.Name);
                Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
                Assert.Null(container.SecurityContext.Capabilities.Add);
                Assert.NotEqual(true, container.SecurityContext.Privileged);
            });
        }
    }

    [Theory, MemberData(nameof(Folders))]
    public void Only_the_agents_namespace_allows_what_the_restricted_profile_forbids(string folder)
    {
        var manifests = Manifests.Of(folder);
        var restricted = manifests.Each<V1Namespace>().Where(space => space.Metadata.Labels["pod-security.kubernetes.io/enforce"] == "restricted").Select(space => space.Metadata.Name).ToHashSet();

        foreach (var workload in manifests.Workloads().Where(workload => restricted.Contains(workload.Metadata.NamespaceProperty)))
        {
            Assert.DoesNotContain(workload.Template.Spec.Volumes, volume => volume.HostPath is not null);
        }
    }

    [Theory, MemberData(nameof(Folders))]
    public void Every_container_says_what_it_needs_and_at_most_takes(string folder)
    {
        foreach (var container in Manifests.Of(folder).Workloads().SelectMany(workload => workload.Containers))
        {
            Assert.Contains("cpu", container.Resources.Requests.Keys);
            Assert.Contains("memory", container.Resources.Requests.Keys);
            Assert.Contains("memory", container.Resources.Limits.Keys);
            Assert.DoesNotContain(":latest", container.Image, StringComparison.Ordinal);
            Assert.Contains(':', container.Image);
        }
    }

    [Theory, MemberData(nameof(Folders))]
    public void Every_server_is_probed(string folder)
    {
        foreach (var container in Manifests.Of(folder).Workloads().SelectMany(workload => workload.Template.Spec.Containers).Where(container => container.Ports is { Count: > 0 }))
        {
            Assert.NotNull(container.StartupProbe);
            Assert.NotNull(container.ReadinessProbe);
            Assert.NotNull(container.LivenessProbe);
        }
    }

    [Fact]
    public void Every_app_of_the_run_file_has_a_workload_with_its_app_id_and_port()
    {
        var expected = RunFileApps();
        var sidecars = Manifests.Of("base").Workloads().Where(workload => workload.HasSidecar).ToList();

        foreach (var (appId, port) in expected)
        {
            var workload = Assert.Single(sidecars, sidecar => sidecar.Annotations["dapr.io/app-id"] == appId);
            Assert.Equal(port, workload.Annotations["dapr.io/app-port"]);
            Assert.Equal(port, Assert.Single(workload.Containers.Single().Env, variable => variable.Name == "APP_PORT").Value);
        }
    }

    [Theory, MemberData(nameof(Folders))]
    public void Every_sidecar_checks_tokens_and_is_as_confined_as_its_app(string folder)
    {
        var manifests = Manifests.Of(folder);
        foreach (var workload in manifests.Workloads().Where(workload => workload.HasSidecar))
        {
            Assert.Equal("rendertrust-app-token", workload.Annotations["dapr.io/app-token-secret"]);
            Assert.Equal("rendertrust-sidecar-token", workload.Annotations["dapr.io/api-token-secret"]);
            Assert.Equal("RuntimeDefault", workload.Annotations["dapr.io/sidecar-seccomp-profile-type"]);
            Assert.Contains("dapr.io/sidecar-memory-limit", workload.Annotations.Keys);
            Assert.Contains(manifests.Each<DaprConfiguration>(), configuration => configuration.Metadata.Name == workload.Annotations["dapr.io/config"]);
        }
    }

    [Theory]
    [InlineData("overlays/cloud")]
    [InlineData("overlays/edge")]
    public void What_the_components_read_from_the_environment_every_sidecar_has(string folder)
    {
        var manifests = Manifests.Of(folder);
        var sidecars = manifests.Workloads().Where(workload => workload.HasSidecar).ToList();
        foreach (var component in manifests.Each<DaprComponent>())
        {
            var users = sidecars.Where(sidecar => component.Scopes.Count == 0 || component.Scopes.Contains(sidecar.Annotations["dapr.io/app-id"])).ToList();
            Assert.NotEmpty(users);
            foreach (var (variable, user) in component.Spec.Metadata.Where(item => item.EnvRef is not null).SelectMany(item => users.Select(user => (item.EnvRef!, user))))
            {
                Assert.Contains($"{variable}=", user.Annotations["dapr.io/env-from-secret"], StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("overlays/cloud", "pubsub.rabbitmq")]
    [InlineData("overlays/edge", "pubsub.redis")]
    public void An_overlay_has_every_component_once_and_none_is_a_copy(string folder, string broker)
    {
        var components = Manifests.Of(folder).Each<DaprComponent>().ToList();

        Assert.Equal(["broadcast", "cache", "pubsub", "secrets", "state"], components.Select(component => component.Metadata.Name).Order(StringComparer.Ordinal));
        Assert.Equal(broker, components.Single(component => component.Metadata.Name == "pubsub").Spec.Type);
        Assert.DoesNotContain(
            Directory.EnumerateFiles(Manifests.Root, "*.yaml", SearchOption.AllDirectories), file => ComponentKind().IsMatch(File.ReadAllText(file)));
    }

    [Fact]
    public void Variants_of_a_broker_have_the_same_components()
    {
        var folders = new[] { "redis", "rabbitmq" }.Select(variant => Path.Combine(Manifests.Repository, "components", variant));

        Assert.All(folders, folder => Assert.Equal(
            ["broadcast.yaml", "kustomization.yaml", "pubsub.yaml"], Directory.EnumerateFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public void Every_secret_that_something_needs_is_in_the_readme()
    {
        var readme = File.ReadAllText(Path.Combine(Manifests.Root, "README.md"));
        var used = Manifests.Folders.Select(Manifests.Of).SelectMany(manifests => manifests.Workloads()).SelectMany(SecretKeys)
            .Concat(Manifests.Of("base").Each<TriggerAuthentication>().SelectMany(trigger => trigger.Spec.SecretTargetRef.Select(secret => (secret.Name, secret.Key))))
            .Distinct().ToList();

        Assert.Contains(("rendertrust-database", "keda"), used);
        Assert.All(used, secret =>
        {
            Assert.Contains($"`{secret.Name}`", readme, StringComparison.Ordinal);
            Assert.Contains($"`{secret.Key}`", readme, StringComparison.Ordinal);
        });
    }

    [Theory, MemberData(nameof(Folders))]
    public void Services_and_rules_select_pods_that_are_there_by_ports_that_they_have(string folder)
    {
        var manifests = Manifests.Of(folder);
        var workloads = manifests.Workloads().ToList();
        foreach (var service in manifests.Each<V1Service>())
        {
            var target = Assert.Single(workloads, workload => workload.Template.Metadata.Labels["app.kubernetes.io/name"] == service.Spec.Selector["app.kubernetes.io/name"]);
            var names = target.Containers.SelectMany(container => container.Ports ?? []).SelectMany(port => new[] { port.Name, $"{port.ContainerPort}" }).ToHashSet();
            Assert.All(service.Spec.Ports, port => Assert.Contains(port.TargetPort?.Value ?? $"{port.Port}", names));
        }

        Assert.All(workloads, workload => Assert.Equal(workload.Selector.MatchLabels["app.kubernetes.io/name"], workload.Template.Metadata.Labels["app.kubernetes.io/name"]));
    }

    [Fact]
    public void Every_namespace_refuses_what_no_rule_lets_in()
    {
        foreach (var folder in Manifests.Folders)
        {
            var manifests = Manifests.Of(folder);
            Assert.All(manifests.Each<V1Namespace>(), space => Assert.Contains(manifests.Each<V1NetworkPolicy>(), rule =>
                rule.Metadata.NamespaceProperty == space.Metadata.Name && rule.Spec.PodSelector.MatchLabels is null && rule.Spec.Ingress is null && rule.Spec.PolicyTypes.Contains("Ingress")));
        }
    }

    private static List<(string AppId, string Port)> RunFileApps()
    {
        var stream = new YamlStream();
        using var reader = new StreamReader(Path.Combine(Manifests.Repository, "dapr.yaml"));
        stream.Load(reader);
        var apps = (YamlSequenceNode)((YamlMappingNode)stream.Documents[0].RootNode).Children["apps"];
        return [.. apps.Children.Cast<YamlMappingNode>().Select(app => (((YamlScalarNode)app.Children["appID"]).Value!, ((YamlScalarNode)app.Children["appPort"]).Value!))];
    }

    private static IEnumerable<(string Name, string Key)> SecretKeys(Workload workload)
    {
        var fromAnnotations = (workload.Annotations.TryGetValue("dapr.io/env-from-secret", out var list) ? list.Split(',') : [])
            .Select(entry => entry.Split('=', 2)[1].Split(':')).Select(parts => (parts[0], parts[1]));
        var fromVariables = workload.Containers.SelectMany(container => container.Env ?? []).Select(variable => variable.ValueFrom?.SecretKeyRef).OfType<V1SecretKeySelector>().Select(secret => (secret.Name, secret.Key));
        return fromAnnotations.Concat(fromVariables);
    }

    [GeneratedRegex("^apiVersion: dapr.io/v1alpha1\nkind: Component", RegexOptions.Multiline)]
    private static partial Regex ComponentKind();
}
