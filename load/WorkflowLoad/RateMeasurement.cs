using System.Collections.Concurrent;
using Dapr.Workflow;

namespace RenderTrust.WorkflowLoad;

/// <summary>How fast workflows came to their end.</summary>
/// <param name="MedianMs">From asking for the start to knowing the output, in milliseconds; likewise the next two.</param>
public sealed record Rate(string Shape, int Clients, int Count, double PerSecond, double MedianMs, double P95Ms, double MaxMs)
{
    public override string ToString() =>
        $"{Shape}, {Clients} clients: {PerSecond:F0} workflows/s, median {MedianMs:F0} ms, p95 {P95Ms:F0} ms, max {MaxMs:F0} ms over {Count}";
}

/// <summary>
/// Runs workflows of five activities through the whole path: client, sidecar, Postgres, worker, and back. Each client starts one, waits for its
/// end, checks its output and starts the next.
/// </summary>
public sealed class RateMeasurement(DaprWorkflowClient client, TimeProvider time)
{
    /// <exception cref="InvalidDataException">A workflow ended otherwise than it must.</exception>
    public async Task<Rate> RunAsync(string shape, int count, int clients, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(clients, 1);
        if (Shapes.WaitsForGo(shape))
        {
            throw new ArgumentException($"Workflow '{shape}' waits for an event that a measurement does not send. Take another of {string.Join(", ", Shapes.All)}.", nameof(shape));
        }

        var times = new ConcurrentBag<double>();
        var begun = 0;
        var startedAt = time.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(
            async () =>
            {
                while (Interlocked.Increment(ref begun) <= count)
                {
                    times.Add(await OneAsync(shape, cancellationToken));
                }
            },
            cancellationToken)));
        var seconds = time.GetElapsedTime(startedAt).TotalSeconds;
        var sorted = times.Order().ToList();
        return new Rate(shape, clients, count, count / seconds, sorted[count / 2], sorted[count * 95 / 100], sorted[^1]);
    }

    private async Task<double> OneAsync(string shape, CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        var id = await client.ScheduleNewWorkflowAsync(shape, $"{shape}-{Guid.CreateVersion7():N}", null, (DateTimeOffset?)null, cancellationToken);
        var state = await client.WaitForWorkflowCompletionAsync(id, cancellation: cancellationToken);
        var elapsedMs = time.GetElapsedTime(startedAt).TotalMilliseconds;
        return state.RuntimeStatus == WorkflowRuntimeStatus.Completed && state.ReadOutputAs<string>() == Shapes.Output
            ? elapsedMs
            : throw new InvalidDataException($"Workflow {id} ended {state.RuntimeStatus} with '{state.ReadOutputAs<string>()}' instead of Completed with '{Shapes.Output}'.");
    }
}
