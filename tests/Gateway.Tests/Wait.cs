namespace RenderTrust.Gateway.Tests;

internal static class Wait
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>Asks until the answer is the expected one; a timeout says what was seen last.</summary>
    public static async Task<T> ForAsync<T>(Func<Task<T>> ask, Func<T, bool> expected, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(expected))] string what = "")
    {
        var end = DateTime.UtcNow + Limit;
        while (true)
        {
            var seen = await ask();
            if (expected(seen))
            {
                return seen;
            }

            if (DateTime.UtcNow > end)
            {
                throw new TimeoutException($"Waited {Limit.TotalSeconds} s for {what}; last seen: {seen}");
            }

            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    public static Task<T> ForAsync<T>(Func<T> ask, Func<T, bool> expected, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(expected))] string what = "") =>
        ForAsync(() => Task.FromResult(ask()), expected, what);
}
