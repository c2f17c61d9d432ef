using RenderTrust.Cli.Commands;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform;

/// <summary>A platform for one measurement: simulated nodes, free ports, data of its own, and gone afterwards.</summary>
internal sealed class PrivatePlatform : IAsyncDisposable
{
    private PrivatePlatform(LocalPlatform platform) => Platform = platform;

    public LocalPlatform Platform { get; }

    /// <summary>Roots of the process trees that are the platform; nodes are the studios' machines and not among them.</summary>
    public IReadOnlyList<int> Roots =>
        [.. Platform.Processes.Where(process => !process.Name.StartsWith("node-", StringComparison.Ordinal)).Select(process => process.Pid), Platform.Postgres.ServerPid];

    public static async Task<PrivatePlatform> StartAsync(CliContext context, string instance, int nodes, int slots, Action<string> progress, CancellationToken cancellationToken)
    {
        if (nodes is < 0 or > LocalFleet.MostSimulatedNodes)
        {
            throw new CliException($"--nodes is {nodes}. One machine takes 0 to {LocalFleet.MostSimulatedNodes} simulated ones.", exitCode: 2);
        }

        var paths = new PlatformPaths(context.RepositoryRoot, instance);
        await LocalPlatform.RemoveAsync(paths, cancellationToken);
        var started = new PrivatePlatform(await LocalPlatform.OpenAsync(paths, new PlatformOptions("auto", [], "auto", null, "Development"), cancellationToken));
        try
        {
            await PlatformCommands.StartAsync(started.Platform, nodes, slots, "simulate", progress, cancellationToken);
            return started;
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Not the command's token: nothing may be left running, also after Ctrl+C.
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await LocalPlatform.RemoveAsync(Platform.Paths, patience.Token);
    }
}
