using RenderTrust.Cli.Load;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Bench;

/// <summary>The scheduler's choice of a node for one unit among 500 that could all take it, against one look at each node.</summary>
internal static class PlacementBenchmark
{
    private const int Nodes = 500;
    private const int Decisions = 5000;

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(CliContext context, PrivatePlatform platform, CancellationToken cancellationToken)
    {
        var times = await LoadProgram.RunPlacementsAsync(context, platform, Nodes, Decisions, Console.Error, cancellationToken);
        return
        [
            BenchFigure.Lower("placement", times.P50Ms, "ms p50", "one look at each of the nodes, same run", times.PeerP50Ms, target: null),
            BenchFigure.Lower("placement", times.P99Ms, "ms p99", "one look at each of the nodes, same run", times.PeerP99Ms, target: 2),
        ];
    }
}
