using System.Diagnostics;
using System.Net;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform.Daprd;

namespace RenderTrust.Cli.Platform;

/// <summary>The services on the real daprd, which supervises nothing: each service and each sidecar is a process of its own here.</summary>
internal sealed partial class LocalPlatform
{
    /// <summary>The commands that would start the services and their sidecars, as a shell would take them. Starts nothing and needs nothing installed.</summary>
    public IReadOnlyList<string> PrintServices()
    {
        IEnumerable<string> commands = SidecarKind == DaprdPlan.Kind
            ? DaprdPlan.Create(DaprdPrograms.ByName, Paths, Ports, Broker.Name, SidecarConfiguration.ReadServices(Paths)).Select(program => $"cd {Quote(program.Directory)} && {Line(program.Command)}")
            : [$"cd {Quote(Paths.RepositoryRoot)} && {Line(EmbeddedCommand(SidecarConfiguration.FileOf(Paths)))}"];
        return ["# Addresses, connection strings and tokens come from the environment, and are not shown.", .. commands];

        static string Line(IEnumerable<string> command) => string.Join(' ', command.Select(Quote));

        static string Quote(string word) =>
            word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '/' or '.' or ':' or '=' or ',') ? word : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";
    }

    private async Task StartOnDaprdAsync(CancellationToken cancellationToken)
    {
        var programs = daprd ?? throw new InvalidOperationException("The programs were not looked for when the platform was opened.");
        var services = SidecarConfiguration.ReadServices(Paths);
        var (sidecarEnvironment, common) = (SidecarEnvironment(), CommonEnvironment());
        string[] tokens = ["DAPR_API_TOKEN", "APP_API_TOKEN"];
        sidecarEnvironment["APP_API_TOKEN"] = LocalSecrets.ReadOrMake(Paths.Keys, "app-api-token");
        foreach (var planned in DaprdPlan.Create(programs, Paths, Ports, Broker.Name, services))
        {
            var environment = planned.Name is DaprdPlan.PlacementName or DaprdPlan.SchedulerName ? [] : sidecarEnvironment;
            if (services.Any(service => service.Id == planned.Name))
            {
                environment = new(common);
                foreach (var (name, value) in DaprdPlan.EnvironmentOf(planned.Name, Ports).Concat(AppEnvironment(planned.Name)).Concat(sidecarEnvironment.Where(pair => tokens.Contains(pair.Key))))
                {
                    environment[name] = value;
                }
            }

            Run(planned.Name, planned.Command, environment, planned.Directory);
            if (planned.Port is { } port)
            {
                await WaitForPortAsync(planned.Name, port, cancellationToken);
            }
        }

        await WaitForDaprdAsync(services, cancellationToken);
    }

    private async Task WaitForDaprdAsync(IReadOnlyList<ServiceProgram> services, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
        var watch = Stopwatch.StartNew();
        var missing = services.Select(service => service.Id).ToList();
        while (watch.Elapsed < TimeSpan.FromSeconds(120))
        {
            if (processes.Find(process => !process.IsRunning) is { } ended)
            {
                throw new CliException($"{ended.Name} ended while the services were starting:\n{ManagedProcess.Tail(ended.LogPath)}", ended.LogPath);
            }

            var checks = await Task.WhenAll(services.Select(async service => (service.Id, Ok: await AnswersAsync(http, new Uri($"http://127.0.0.1:{Ports[$"{service.Id}.http"]}/v1.0/healthz"), cancellationToken))));
            missing = [.. checks.Where(check => !check.Ok).Select(check => check.Id)];
            if (missing.Count == 0 && await AnswersAsync(http, AgentCardUrl, cancellationToken))
            {
                return;
            }

            await Task.Delay(100, cancellationToken);
        }

        var suspect = missing.Count > 0 ? DaprdPlan.SidecarOf(missing[0]) : "gateway";
        throw new CliException($"The services were not ready on daprd after 120 s (waiting for: {suspect}). Last lines of {suspect}:\n{ManagedProcess.Tail(Paths.Log(suspect))}", Paths.Log(suspect));
    }

    private static async Task<bool> AnswersAsync(HttpClient http, Uri address, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await http.GetAsync(address, cancellationToken);
            return response.StatusCode is HttpStatusCode.OK or HttpStatusCode.NoContent;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}
