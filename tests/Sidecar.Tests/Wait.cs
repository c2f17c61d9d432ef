using System.Diagnostics;

namespace RenderTrust.Sidecar.Tests;

internal static class Wait
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>Waits for a condition; an exception counts as "not yet" and is told when time runs out.</summary>
    public static async Task UntilAsync(string what, Func<Task<bool>> condition, Func<object?>? seen = null, TimeSpan? limit = null)
    {
        var end = limit ?? Limit;
        var watch = Stopwatch.StartNew();
        Exception? last = null;
        while (watch.Elapsed < end)
        {
            try
            {
                if (await condition())
                {
                    return;
                }
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                last = e;
            }

            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        throw new TimeoutException($"Waited {end} until {what}; saw: {seen?.Invoke() ?? "-"}; last error: {last?.Message ?? "none"}");
    }

    public static Task UntilAsync(string what, Func<bool> condition, Func<object?>? seen = null, TimeSpan? limit = null) =>
        UntilAsync(what, () => Task.FromResult(condition()), seen, limit);
}
