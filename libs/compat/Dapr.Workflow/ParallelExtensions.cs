namespace Dapr.Workflow;

/// <summary>Fan-out with a limit.</summary>
public static class ParallelExtensions
{
    /// <summary>
    /// Starts one task for each input, at most <paramref name="maxConcurrency"/> at a time, and gives the results in the order of the inputs.
    /// Deterministic: the next input starts when the first of the running tasks ends, in the order of history.
    /// </summary>
    /// <param name="context">The workflow's context.</param>
    /// <param name="inputs">What to work on; read once.</param>
    /// <param name="taskFactory">Makes the context's task for an input, such as a call of an activity.</param>
    /// <param name="maxConcurrency">At least 1.</param>
    /// <exception cref="AggregateException">Some tasks failed; the others were waited for.</exception>
    public static async Task<TResult[]> ProcessInParallelAsync<TInput, TResult>(
        this WorkflowContext context, IEnumerable<TInput> inputs, Func<TInput, Task<TResult>> taskFactory, int maxConcurrency = 5)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(taskFactory);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxConcurrency);

        var started = new List<Task<TResult>>();
        var running = new List<Task<TResult>>();
        foreach (var input in inputs)
        {
            if (running.Count == maxConcurrency)
            {
                running.Remove(await Task.WhenAny(running));
            }

            var task = taskFactory(input);
            started.Add(task);
            running.Add(task);
        }

        while (running.Count > 0)
        {
            running.Remove(await Task.WhenAny(running));
        }

        var failures = started.Where(task => !task.IsCompletedSuccessfully).Select(task => task.Exception?.InnerException ?? new TaskCanceledException(task)).ToList();
        return failures.Count == 0 ? [.. started.Select(task => task.Result)] : throw new AggregateException(failures);
    }
}
