using System.Diagnostics;
using System.Text.Json;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Load;

/// <param name="Recipients">Nodes that each job is sealed for.</param>
/// <param name="Output">Folder of the reports.</param>
internal sealed record JobLoadSettings(int Rate, int Seconds, int WarmUpSeconds, int Recipients, int Units, string Output);

/// <summary>As the load program writes it; see load/JobLoad.</summary>
internal sealed record JobLoadResult(
    int Rate, int Seconds, int Units, int Completed, int Failed, double? CpuMillisecondsPerJob, double LoadAverage, IReadOnlyList<LoadFigure> Platform, IReadOnlyList<LoadFigure> Client, bool Ok);

internal sealed record LoadFigure(string Name, int Count, double P50Milliseconds, double P95Milliseconds, double P99Milliseconds, double MaxMilliseconds);

internal sealed record GetTaskResult(double RequestsPerSecond, double EchoesPerSecond);

/// <summary>As load/WorkflowLoad writes it.</summary>
internal sealed record WorkflowRate(double PerSecond, double MedianMs);

/// <summary>As load/PlacementLoad writes it.</summary>
internal sealed record PlacementTimes(double P50Ms, double P99Ms, double PeerP50Ms, double PeerP99Ms);

/// <summary>Runs the programs of load/ against a platform of this machine.</summary>
internal static class LoadProgram
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static Task<JobLoadResult> RunJobsAsync(CliContext context, PrivatePlatform platform, JobLoadSettings settings, TextWriter output, CancellationToken cancellationToken) =>
        RunAsync<JobLoadResult>(
            context, platform.Platform,
            [
                "jobs", "--rate", $"{settings.Rate}", "--seconds", $"{settings.Seconds}", "--warm-up", $"{settings.WarmUpSeconds}", "--recipients", $"{settings.Recipients}",
                "--units", $"{settings.Units}", "--out", settings.Output, "--processes", .. platform.Roots.Select(pid => $"{pid}"),
            ],
            output, cancellationToken);

    public static Task<GetTaskResult> RunGetTaskAsync(CliContext context, PrivatePlatform platform, TextWriter output, CancellationToken cancellationToken) =>
        RunAsync<GetTaskResult>(context, platform.Platform, ["get-task"], output, cancellationToken);

    /// <summary>Workflows of five activities, one after the other, on the sidecar of an app that has the state store and no workflows of its own.</summary>
    public static Task<WorkflowRate> RunWorkflowsAsync(CliContext context, PrivatePlatform platform, int count, int clients, TextWriter output, CancellationToken cancellationToken) =>
        StartAsync<WorkflowRate>(
            context, platform.Platform, "WorkflowLoad", ["rate", "Row", $"{count}", $"{clients}"],
            new Dictionary<string, string>
            {
                ["DAPR_GRPC_PORT"] = $"{platform.Platform.Ports["identity.grpc"]}",
                ["DAPR_API_TOKEN"] = LocalSecrets.ReadOrMake(platform.Platform.Paths.Keys, "dapr-api-token"),
            },
            output, cancellationToken);

    /// <summary>The scheduler's rule alone, in a process of its own beside the platform.</summary>
    public static Task<PlacementTimes> RunPlacementsAsync(CliContext context, PrivatePlatform platform, int nodes, int decisions, TextWriter output, CancellationToken cancellationToken) =>
        StartAsync<PlacementTimes>(
            context, platform.Platform, "PlacementLoad", ["placement", $"{nodes}", $"{decisions}"], new Dictionary<string, string>(), output, cancellationToken);

    private static Task<T> RunAsync<T>(CliContext context, LocalPlatform platform, IReadOnlyList<string> arguments, TextWriter output, CancellationToken cancellationToken) =>
        StartAsync<T>(
            context, platform, "JobLoad", [.. arguments, "--gateway", platform.GatewayUrl.ToString(), "--profile", Path.Combine(platform.Paths.Profiles, "load")],
            new Dictionary<string, string> { ["RENDERTRUST_LOAD_POSTGRES"] = platform.Postgres.AdminOnDatabase }, output, cancellationToken);

    private static async Task<T> StartAsync<T>(
        CliContext context, LocalPlatform platform, string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment, TextWriter output,
        CancellationToken cancellationToken)
    {
        var result = Path.Combine(platform.Paths.Root, $"load-{arguments[0]}.json");
        File.Delete(result);
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        foreach (var argument in (IEnumerable<string>)[Path.Combine(context.RepositoryRoot, $"load/{program}/bin/Release/net10.0/RenderTrust.{program}.dll"), .. arguments, "--result", result])
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        try
        {
            while (await process.StandardOutput.ReadLineAsync(cancellationToken) is { } line)
            {
                await output.WriteLineAsync(line);
            }

            await process.WaitForExitAsync(cancellationToken);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }

        // 1 says that a threshold did not hold: the figures are there, and say so themselves.
        return process.ExitCode is 0 or 1 && File.Exists(result)
            ? JsonSerializer.Deserialize<T>(await File.ReadAllBytesAsync(result, cancellationToken), Json)!
            : throw new CliException($"The load program ended with exit code {process.ExitCode}; it says above why.");
    }
}
