using Dapr.Workflow.Client;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Dapr.Workflow.Worker;

/// <summary>
/// Keeps a stream of work open with the sidecar, for ever. Work that a lost stream left undone is given out again by the sidecar; on stopping, what
/// is under way is finished first, within the host's time for shutting down.
/// </summary>
internal sealed class WorkflowWorker(
    SidecarChannel sidecar, WorkItemRunner runner, WorkflowRuntimeOptions options, TimeProvider time, ILogger<WorkflowWorker> logger) : BackgroundService
{
    // A sidecar that was started again is found at once; one that is away is not asked more often than the official worker asks.
    private static readonly TimeSpan ReconnectDelayMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ReconnectDelayMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SteadyAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan GreetingInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan GreetingPatience = TimeSpan.FromSeconds(10);

    private readonly WorkItems items = new(sidecar.Calls, runner, options, time, logger);
    private readonly CancellationTokenSource close = new();

    /// <inheritdoc />
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // The stream stays open meanwhile: closing it would make the sidecar give out again what is being finished here.
        await items.DrainAsync(cancellationToken);
        await close.CancelAsync();
        await base.StopAsync(cancellationToken);
        logger.LogStopped(items.Running);
    }

    public override void Dispose()
    {
        base.Dispose();
        close.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Workflows.Count == 0 && options.Activities.Count == 0)
        {
            return;
        }

        var wasConnected = true;
        var delay = ReconnectDelayMin;
        while (!close.IsCancellationRequested)
        {
            Exception? cause = null;
            var startedAt = time.GetTimestamp();
            try
            {
                await ServeAsync(() => wasConnected = true);
            }
            catch (Exception exception) when (!close.IsCancellationRequested)
            {
                cause = exception;
            }
            catch (Exception) when (close.IsCancellationRequested)
            {
                return;
            }

            if (wasConnected)
            {
                logger.LogDisconnected(cause, sidecar.Address, ReconnectDelayMax.TotalSeconds);
            }
            else
            {
                logger.LogStillDisconnected(cause, sidecar.Address);
            }

            delay = wasConnected && time.GetElapsedTime(startedAt) > SteadyAfter ? ReconnectDelayMin : delay * 2 > ReconnectDelayMax ? ReconnectDelayMax : delay * 2;
            wasConnected = false;
            await Task.Delay(delay, time, close.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ServeAsync(Action connected)
    {
        using var stream = CancellationTokenSource.CreateLinkedTokenSource(close.Token);
        await sidecar.Calls.HelloAsync(new(), deadline: Deadline(), cancellationToken: stream.Token);
        using var call = sidecar.Calls.GetWorkItems(new Wire.GetWorkItemsRequest(), cancellationToken: stream.Token);
        connected();
        logger.LogConnected(sidecar.Address, options.Workflows.Count, options.Activities.Count);
        var greeting = GreetAsync(stream.CancelAsync, stream.Token);
        try
        {
            await foreach (var item in call.ResponseStream.ReadAllAsync(stream.Token))
            {
                items.Accept(item, stream.Token);
            }
        }
        finally
        {
            await stream.CancelAsync();
            await greeting;
        }
    }

    // A connection that died without a word is noticed only by asking.
    private async Task GreetAsync(Func<Task> giveUp, CancellationToken streamEnded)
    {
        try
        {
            while (true)
            {
                await Task.Delay(GreetingInterval, time, streamEnded);
                await sidecar.Calls.HelloAsync(new(), deadline: Deadline(), cancellationToken: streamEnded);
            }
        }
        catch (Exception) when (streamEnded.IsCancellationRequested)
        {
            // The stream has ended by itself.
        }
        catch (RpcException exception)
        {
            logger.LogUnanswered(exception);
            await giveUp();
        }
    }

    // gRPC compares deadlines with the system's clock, whatever clock the worker was given.
    private static DateTime Deadline() => TimeProvider.System.GetUtcNow().UtcDateTime + GreetingPatience;
}
