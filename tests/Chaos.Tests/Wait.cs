using System.Diagnostics;

namespace RenderTrust.Chaos.Tests;

internal static class Wait
{
    /// <summary>Generous: it bounds a hanging test and is no claim about speed.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(180);

    public static Task UntilAsync(string what, Func<Task<bool>> holds, CancellationToken cancellationToken) =>
        ForAsync(what, holds, held => held, cancellationToken);

    /// <summary>Asks until the answer is the expected one. A question that cannot be answered, because the answerer is dead, is asked again; a timeout says what was seen last.</summary>
    public static async Task<T> ForAsync<T>(string what, Func<Task<T>> ask, Func<T, bool> expected, CancellationToken cancellationToken, TimeSpan? limit = null)
    {
        var watch = Stopwatch.StartNew();
        object? seen = null;
        while (watch.Elapsed < (limit ?? Limit))
        {
            try
            {
                var answer = await ask();
                if (expected(answer))
                {
                    return answer;
                }

                seen = answer;
            }
            catch (Exception exception) when (Passing.IsOne(exception) && !cancellationToken.IsCancellationRequested)
            {
                seen = exception.Message;
            }

            await Task.Delay(100, cancellationToken);
        }

        throw new TimeoutException($"Waited {watch.Elapsed.TotalSeconds:0} s for {what}; last seen: {seen}");
    }
}
