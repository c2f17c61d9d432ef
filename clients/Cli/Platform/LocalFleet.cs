using System.Diagnostics;
using RenderTrust.Client;
using RenderTrust.Cli.Output;
using RenderTrust.Contracts;

namespace RenderTrust.Cli.Platform;

/// <summary>The edge nodes and the module of a local platform, owned by a studio and a developer that have profiles of their own.</summary>
internal sealed class LocalFleet(LocalPlatform platform)
{
    public const int MostSimulatedNodes = 1000;

    public string StudioProfile => Path.Combine(platform.Paths.Profiles, "studio");

    public string DeveloperProfile => Path.Combine(platform.Paths.Profiles, "developer");

    public async Task<ModuleVersion> PublishPovrayAsync(CancellationToken cancellationToken)
    {
        using var developer = await OpenAsync(DeveloperProfile, "Module developer", cancellationToken);
        return await Patience.WithAsync(() => PovrayModule.PublishAsync(platform, developer, cancellationToken), cancellationToken);
    }

    /// <summary>Enrols the node with a one-time token unless it is enrolled already, and starts its agent.</summary>
    /// <param name="index">From 1.</param>
    /// <param name="runner">auto, docker, bubblewrap, process or simulate.</param>
    /// <param name="slots">Units at the same time.</param>
    /// <param name="allowPlainProcess">Without any isolation if the machine has none: for the demo alone, which warns loudly.</param>
    /// <param name="cancellationToken">Stops the enrolment; a started agent goes on.</param>
    public async Task StartNodeAsync(int index, string runner, int slots, bool allowPlainProcess, CancellationToken cancellationToken)
    {
        var state = platform.Paths.NodeState(index);
        var name = $"node-{index}";
        using (var studio = await OpenAsync(StudioProfile, "Local studio", cancellationToken))
        {
            if (!File.Exists(Path.Combine(state, "identity", "node.json")))
            {
                var token = await Patience.WithAsync(() => studio.Identity.CreateNodeTokenAsync(name, 600, cancellationToken), cancellationToken);
                var file = Path.Combine(platform.Paths.Configuration, $"{name}.token");
                await PlatformPaths.WritePrivateAsync(file, token.Token, cancellationToken);
                try
                {
                    await Shell.RunAsync(
                        ["dotnet", platform.AgentProgram, "enroll", "--gateway", platform.GatewayUrl.ToString(), "--token-file", file, "--state", state, "--name", name],
                        cancellationToken, platform.Paths.Log(name));
                }
                finally
                {
                    File.Delete(file);
                }
            }
        }

        platform.StartNode(index, state, runner, slots, allowPlainProcess);
    }

    /// <summary>Starts many simulated nodes in one process, each enrolled with a token of its own.</summary>
    public async Task StartSimulatedAsync(int count, int slots, CancellationToken cancellationToken)
    {
        var tokens = Path.Combine(platform.Paths.Configuration, "fleet");
        var states = Path.Combine(platform.Paths.Root, "nodes", "fleet");
        PlatformPaths.CreatePrivate(tokens);
        using (var studio = await OpenAsync(StudioProfile, "Local studio", cancellationToken))
        {
            for (var index = 1; index <= count; index++)
            {
                var name = $"sim-{index:D4}";
                if (!File.Exists(Path.Combine(states, name, "identity", "node.json")))
                {
                    var token = await Patience.WithAsync(() => studio.Identity.CreateNodeTokenAsync(name, 600, cancellationToken), cancellationToken);
                    await PlatformPaths.WritePrivateAsync(Path.Combine(tokens, $"{name}.token"), token.Token, cancellationToken);
                }
            }
        }

        platform.StartSimulatedFleet(tokens, states, slots);
    }

    /// <summary>Waits until the scheduler sees the nodes online, and answers what it says of them.</summary>
    public async Task<IReadOnlyList<NodeListItem>> WaitForNodesAsync(int count, CancellationToken cancellationToken)
    {
        // Each enrolment costs the platform some signatures.
        var patience = TimeSpan.FromSeconds(60 + (0.5 * count));
        if (count == 0)
        {
            return [];
        }

        using var studio = await OpenAsync(StudioProfile, "Local studio", cancellationToken);
        var watch = Stopwatch.StartNew();
        IReadOnlyList<NodeListItem> nodes = [];
        while (watch.Elapsed < patience)
        {
            nodes = (await Patience.WithAsync(() => studio.ListNodesAsync(cancellationToken), cancellationToken)).Nodes;
            if (nodes.Count(node => node.Status == "online") >= count)
            {
                return nodes;
            }

            if (platform.Processes.FirstOrDefault(process => process.Name.StartsWith("node-", StringComparison.Ordinal) && !process.IsRunning) is { } dead)
            {
                throw new CliException($"{dead.Name} ended while starting:\n{ManagedProcess.Tail(dead.LogPath)}", dead.LogPath);
            }

            await Task.Delay(150, cancellationToken);
        }

        var first = platform.Processes.FirstOrDefault(process => process.Name.StartsWith("node-", StringComparison.Ordinal))?.Name ?? "node-1";
        throw new CliException(
            $"{nodes.Count(node => node.Status == "online")} of {count} nodes came online within {patience.TotalSeconds:0} s. Last lines of {first}:\n{ManagedProcess.Tail(platform.Paths.Log(first))}",
            platform.Paths.Log(first));
    }

    private Task<RenderTrustClient> OpenAsync(string profile, string name, CancellationToken cancellationToken) =>
        Patience.WithAsync(() => Profiles.OpenOrSignUpAsync(profile, platform.GatewayUrl, name, cancellationToken), cancellationToken);
}
