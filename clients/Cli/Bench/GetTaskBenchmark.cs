using RenderTrust.Cli.Load;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Bench;

/// <summary>A2A GetTask through the gateway, against a bare JSON echo on the same web server in the same run.</summary>
internal static class GetTaskBenchmark
{
    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(CliContext context, PrivatePlatform platform, CancellationToken cancellationToken)
    {
        var result = await LoadProgram.RunGetTaskAsync(context, platform, Console.Error, cancellationToken);
        return [BenchFigure.HigherByRatio("a2aGetTask", result.RequestsPerSecond, "requests/s", "bare JSON echo, same run", result.EchoesPerSecond, target: 0.25)];
    }
}
