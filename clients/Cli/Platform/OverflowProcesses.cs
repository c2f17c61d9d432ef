using System.Diagnostics;
using System.Globalization;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform;

/// <summary>The overflow agents that a local platform's scheduler has started. They come and go by themselves, so they are found by their folders.</summary>
internal static class OverflowProcesses
{
    public static IReadOnlyList<ManagedProcess> Read(PlatformPaths paths) =>
    [
        .. (Directory.Exists(paths.Overflow) ? Directory.GetFiles(paths.Overflow, "agent.pid", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 }) : [])
            .Select(file => Parse(paths, file)).OfType<ManagedProcess>().Where(process => process.IsRunning).OrderBy(process => process.Name, StringComparer.Ordinal),
    ];

    /// <summary>Waits until the scheduler has made and published the pool's key: from then on creators can opt in.</summary>
    public static async Task WaitForPoolAsync(LocalPlatform platform, string profile, CancellationToken cancellationToken)
    {
        using var anyone = await Profiles.OpenOrSignUpAsync(profile, platform.GatewayUrl, "Local studio", cancellationToken);
        var watch = Stopwatch.StartNew();
        while ((await anyone.Identity.GetRecipientsAsync("overflow", cancellationToken)).Count == 0)
        {
            if (watch.Elapsed > TimeSpan.FromSeconds(60))
            {
                throw new CliException(
                    "The overflow pool was not published within 60 s. If the platform ran already without --overflow, stop it with 'down' first; else the scheduler's log says why.",
                    platform.Paths.Log("scheduler"));
            }

            await Task.Delay(200, cancellationToken);
        }
    }

    private static ManagedProcess? Parse(PlatformPaths paths, string file)
    {
        var parts = File.ReadAllText(file).Split(' ', StringSplitOptions.TrimEntries);
        var name = Path.GetFileName(Path.GetDirectoryName(file)!);
        return parts.Length == 2 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var pid) && long.TryParse(parts[1], CultureInfo.InvariantCulture, out var started)
            ? new ManagedProcess(name, pid, started, Path.Combine(paths.Overflow, "logs", $"{name}.log"))
            : null;
    }
}
