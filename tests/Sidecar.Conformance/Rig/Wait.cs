using System.Diagnostics;

namespace RenderTrust.Sidecar.Conformance.Rig;

internal static class Wait
{
    // Generous: the end of a wait says that something is broken, never that a machine is slow.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    /// <summary>Waits for a condition; an exception counts as "not yet" and is told when time runs out.</summary>
    public static async Task UntilAsync(string what, Func<Task<bool>> condition, Func<object?>? seen = null)
    {
        var watch = Stopwatch.StartNew();
        Exception? last = null;
        while (watch.Elapsed < Limit)
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

        throw new TimeoutException($"Waited {Limit} until {what}; saw: {seen?.Invoke() ?? "-"}; last error: {last?.Message ?? "none"}");
    }

    public static Task UntilAsync(string what, Func<bool> condition, Func<object?>? seen = null) =>
        UntilAsync(what, () => Task.FromResult(condition()), seen);
}
