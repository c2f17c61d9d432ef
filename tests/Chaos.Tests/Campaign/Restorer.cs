using System.Diagnostics;
using RenderTrust.Chaos.Tests.Platform;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>
/// The person who types <c>up</c> again: whenever something is dead that no sidecar host starts again by itself. An <c>up</c> that is itself hit by
/// a kill may fail; one after the other must not.
/// </summary>
internal sealed class Restorer(ChaosPlatform platform, Tally tally)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(6);

    private volatile bool isStruggling;

    /// <summary>An 'up' has failed and none has succeeded since.</summary>
    public bool IsStruggling => isStruggling;

    public async Task RunAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            if (platform.Started().Any(part => !part.IsRunning))
            {
                // Not the caller's token: a campaign that ends half-way through an 'up' would leave it running.
                await RestoreAsync(CancellationToken.None);
            }

            await Task.Delay(200, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async Task RestoreAsync(CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            var up = await platform.UpAsync(cancellationToken);
            tally.Up(up.ExitCode == 0);
            if (up.ExitCode == 0)
            {
                isStruggling = false;
                return;
            }

            isStruggling = true;

            if (watch.Elapsed > Patience)
            {
                throw new TimeoutException($"'up' has failed for {watch.Elapsed.TotalMinutes:0.0} minutes. The last one: {up}");
            }
        }
    }
}
