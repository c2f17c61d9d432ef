using System.Runtime.CompilerServices;

namespace RenderTrust.EndToEnd.Tests.Platform;

internal static class Wait
{
    /// <summary>Generous: it bounds a hanging test and is no claim about speed.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    /// <summary>Asks until the answer is the expected one; a timeout says what was seen last.</summary>
    public static async Task<T> ForAsync<T>(Func<Task<T>> ask, Func<T, bool> expected, [CallerArgumentExpression(nameof(expected))] string what = "")
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

            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }
}
