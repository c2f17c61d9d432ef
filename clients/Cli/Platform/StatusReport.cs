namespace RenderTrust.Cli.Platform;

/// <summary>Answer of <c>status --json</c>.</summary>
/// <param name="Urls">By name, among them <c>dashboard</c>, <c>gateway</c> and <c>agentCard</c>.</param>
internal sealed record StatusReport(
    bool Ok, string Sidecar, IReadOnlyDictionary<string, string> Urls, IReadOnlyList<PartStatus> Services, IReadOnlyDictionary<string, string> Paths)
{
    public static StatusReport? Read(PlatformPaths paths)
    {
        var state = PlatformState.Read(paths);
        if (state is null)
        {
            return null;
        }

        var host = state.Processes.FirstOrDefault(process => process.Name == "sidecar");
        var parts = new List<PartStatus>();
        if (state.ExternalPostgres is null)
        {
            var postgres = new PostgresCluster(paths, state.Ports["postgres"], null);
            parts.Add(new PartStatus("postgres", postgres.IsRunning ? "running" : "stopped", postgres.IsRunning ? postgres.ServerPid : 0, postgres.LogPath));
        }

        foreach (var process in state.Processes)
        {
            parts.Add(new PartStatus(process.Name, process.IsRunning ? "running" : "stopped", process.IsRunning ? process.Pid : 0, process.LogPath));
        }

        parts.AddRange(OverflowProcesses.Read(paths).Select(agent => new PartStatus(agent.Name, "running", agent.Pid, agent.LogPath)));
        if (host is { IsRunning: true })
        {
            parts.AddRange(LocalPlatform.ReadServices(paths).Select(service => new PartStatus(service.AppId, service.Health, service.Pid, service.LogPath)));
        }

        var gateway = $"http://127.0.0.1:{state.Ports["gateway"]}";
        return new StatusReport(
            parts.Count > 0 && parts.All(part => part.Health is "running" or "ready"),
            state.Sidecar,
            new Dictionary<string, string>
            {
                ["dashboard"] = $"{gateway}/dashboard/",
                ["gateway"] = gateway,
                ["agentCard"] = $"{gateway}/.well-known/agent-card.json",
                ["a2a"] = $"{gateway}/a2a",
                ["hub"] = $"https://127.0.0.1:{state.Ports["hub"]}",
                ["registry"] = $"http://127.0.0.1:{state.Ports["registry"]}",
            },
            parts,
            new Dictionary<string, string> { ["logs"] = paths.Logs, ["data"] = paths.Root, ["profiles"] = paths.Profiles });
    }
}

internal sealed record PartStatus(string Name, string Health, int Pid, string Log);
