using System.Collections.Concurrent;
using System.Diagnostics;

namespace RenderTrust.Agent.Running;

/// <summary>
/// Starts processes on one thread that never ends. A sandbox asks the kernel to be killed with its parent, and the kernel
/// takes the *thread* that forked for the parent: from the pool, a sandbox would die when the pool shrinks.
/// </summary>
internal sealed class ProcessLauncher : IDisposable
{
    private readonly BlockingCollection<(ProcessStartInfo Start, TaskCompletionSource<Process> Started)> _requests = [];

    public ProcessLauncher()
    {
        var thread = new Thread(Work) { IsBackground = true, Name = "process launcher" };
        thread.Start();
    }

    public async Task<Process> StartAsync(ProcessStartInfo start, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        _requests.Add((start, started), cancellationToken);
        return await started.Task;
    }

    public void Dispose() => _requests.CompleteAdding();

    private void Work()
    {
        foreach (var (start, started) in _requests.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Process.Start(start) ?? throw new InvalidOperationException($"'{start.FileName}' did not start."));
            }
            catch (Exception exception)
            {
                // The caller waits for this one start; the thread must live on for the others.
                started.SetException(exception);
            }
        }
    }
}
