using RenderTrust.Cli.Load;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Bench;

/// <summary>Workflows of five activities, one after the other, each with its state in Postgres before it goes on, against what is published for daprd 1.17.</summary>
internal static class WorkflowBenchmark
{
    private const int Count = 3000;
    private const int Clients = 40;

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(CliContext context, PrivatePlatform platform, CancellationToken cancellationToken)
    {
        var rate = await LoadProgram.RunWorkflowsAsync(context, platform, Count, Clients, Console.Error, cancellationToken);
        return
        [
            BenchFigure.Higher("workflow", rate.PerSecond, "workflows/s", "daprd 1.17 as published, another machine", 98, target: 200),
            BenchFigure.Lower("workflow", rate.MedianMs, "ms p50", "daprd 1.17 as published, another machine", 1060, target: 150),
        ];
    }
}
