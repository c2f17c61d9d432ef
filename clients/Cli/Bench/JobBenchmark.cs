using RenderTrust.Cli.Load;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Bench;

/// <summary>A job's budget at 20 jobs/s with 50 simulated nodes: what the platform keeps in <c>scheduler.timings</c>, and its CPU time a job.</summary>
internal static class JobBenchmark
{
    public static readonly string[] Names = ["submit", "dispatch", "return", "ledgerHandover", "cpuPerJob"];
    private const int Rate = 20;
    private const int Seconds = 20;
    private const int WarmUpSeconds = 10;
    private const int Recipients = 16;

    /// <summary>p95 limits of the architecture's budget, in milliseconds.</summary>
    private static readonly Dictionary<string, double> Budget = new() { ["submit"] = 50, ["dispatch"] = 80, ["return"] = 80, ["ledgerHandover"] = 5 };

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(CliContext context, PrivatePlatform platform, IReadOnlyCollection<string> wanted, CancellationToken cancellationToken)
    {
        var reports = Path.Combine(platform.Platform.Paths.Root, "reports");
        var result = await LoadProgram.RunJobsAsync(context, platform, new JobLoadSettings(Rate, Seconds, WarmUpSeconds, Recipients, 1, reports), Console.Error, cancellationToken);
        if (result.Completed == 0)
        {
            throw new CliException($"None of {result.Failed} jobs settled, so there is nothing to measure; the load program says above why.");
        }

        var figures = new List<BenchFigure>();
        foreach (var name in wanted)
        {
            if (name == "cpuPerJob")
            {
                figures.Add(BenchFigure.Lower(name, result.CpuMillisecondsPerJob ?? 0, "CPU ms", $"two cores at {Rate} jobs/s", 2000.0 / Rate, target: null));
                continue;
            }

            var measured = result.Platform.FirstOrDefault(figure => figure.Name == name)
                ?? throw new CliException($"The platform kept no figure '{name}' of {result.Completed} jobs.");
            figures.Add(BenchFigure.Lower(name, measured.P95Milliseconds, "ms p95", "budget", Budget[name], Budget[name]));
            if (name is "submit" or "dispatch")
            {
                figures.Add(BenchFigure.Lower(name, measured.P99Milliseconds, "ms p99", "gate at 20 jobs/s", 50, 50));
            }
        }

        return figures;
    }
}
