using System.Diagnostics;

namespace RenderTrust.Agent.Tests;

/// <summary>Waits for a condition; says what it waited for when it never came.</summary>
internal static class Wait
{
    public static async Task ForAsync(Func<bool> condition, string what, int seconds = 30)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(seconds), $"Waited {seconds} s for {what}.");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }
}
