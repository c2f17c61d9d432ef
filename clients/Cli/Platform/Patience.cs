using System.Diagnostics;
using RenderTrust.Client;

namespace RenderTrust.Cli.Platform;

/// <summary>For calls of `up` that may be made twice: a service that was seen ready may be on its way back from a kill a moment later.</summary>
internal static class Patience
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Repeats the call while a part of the platform is away; after a minute its error is the caller's.</summary>
    public static async Task<T> WithAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return await call();
            }
            catch (RenderTrustException exception) when (exception.Error is RenderTrustError.Busy or RenderTrustError.Unreachable && watch.Elapsed < Limit)
            {
                await Task.Delay(Pause, cancellationToken);
            }
        }
    }
}
