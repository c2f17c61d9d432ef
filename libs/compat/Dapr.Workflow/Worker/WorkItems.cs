using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Dapr.Workflow.Worker;

/// <summary>Work items under way: at most so many of each kind at a time, the others wait their turn.</summary>
[SuppressMessage("Design", "CA1001", Justification = "Items may end after the worker; semaphores without wait handles hold nothing.")]
internal sealed class WorkItems(
    Wire.TaskHubSidecarService.TaskHubSidecarServiceClient sidecar, WorkItemRunner runner, WorkflowRuntimeOptions options, TimeProvider time, ILogger logger)
{
    private const int AnswerTries = 4;
    private static readonly TimeSpan AnswerDelay = TimeSpan.FromMilliseconds(250);

    private readonly SemaphoreSlim turns = new(options.MaxConcurrentWorkflows);
    private readonly SemaphoreSlim activities = new(options.MaxConcurrentActivities);
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock gate = new();
    private bool draining;
    private int running;

    /// <summary>How many are under way or wait.</summary>
    public int Running
    {
        get
        {
            lock (gate)
            {
                return running;
            }
        }
    }

    /// <summary>Takes an item of the stream whose loss <paramref name="streamLost"/> tells. While draining, items are left to the next worker.</summary>
    public void Accept(Wire.WorkItem item, CancellationToken streamLost)
    {
        lock (gate)
        {
            if (draining)
            {
                return;
            }

            running++;
        }

        _ = Task.Run(() => DoAsync(item, streamLost), CancellationToken.None);
    }

    /// <summary>Takes no more items and waits for those under way.</summary>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        lock (gate)
        {
            draining = true;
            if (running == 0)
            {
                drained.TrySetResult();
            }
        }

        await drained.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task DoAsync(Wire.WorkItem item, CancellationToken streamLost)
    {
        var instanceId = item.WorkflowRequest?.InstanceId ?? item.ActivityRequest?.WorkflowInstance?.InstanceId ?? "";
        try
        {
            switch (item.RequestCase)
            {
                case Wire.WorkItem.RequestOneofCase.WorkflowRequest:
                    await DoTurnAsync(item, streamLost);
                    break;
                case Wire.WorkItem.RequestOneofCase.ActivityRequest:
                    await DoActivityAsync(item);
                    break;
                default:
                    logger.LogUnknownItem();
                    break;
            }
        }
        catch (Exception exception) when (streamLost.IsCancellationRequested && exception is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            logger.LogAnswerLate(instanceId);
        }
        catch (RpcException exception)
        {
            logger.LogAnswerLost(exception, instanceId);
        }
        catch (Exception exception)
        {
            logger.LogItemFailed(exception, instanceId);
        }
        finally
        {
            lock (gate)
            {
                running--;
                if (draining && running == 0)
                {
                    drained.TrySetResult();
                }
            }
        }
    }

    private async Task DoTurnAsync(Wire.WorkItem item, CancellationToken streamLost)
    {
        var request = item.WorkflowRequest;
        await turns.WaitAsync(streamLost);
        try
        {
            if (request.RequiresHistoryStreaming)
            {
                var history = await sidecar.GetInstanceHistoryAsync(new Wire.GetInstanceHistoryRequest { InstanceId = request.InstanceId }, cancellationToken: streamLost);
                request.PastEvents.Clear();
                request.PastEvents.Add(history.Events);
            }

            var response = runner.RunTurn(request);
            response.CompletionToken = item.CompletionToken;
            // The sidecar has given this turn out again, maybe with more events. Answers are matched by instance: this one would be taken for an
            // answer to events that it does not know.
            streamLost.ThrowIfCancellationRequested();
            // Sidecars from before 1.18 know only this name for it, newer ones serve both.
            await AnswerAsync(token => sidecar.CompleteOrchestratorTaskAsync(response, cancellationToken: token), streamLost);
        }
        finally
        {
            turns.Release();
        }
    }

    private async Task DoActivityAsync(Wire.WorkItem item)
    {
        await activities.WaitAsync();
        try
        {
            var response = await runner.RunActivityAsync(item.ActivityRequest);
            response.CompletionToken = item.CompletionToken;
            // Sent even if the stream is lost: the effect is done, and an answer that nobody waits for is dropped.
            await AnswerAsync(token => sidecar.CompleteActivityTaskAsync(response, cancellationToken: token), CancellationToken.None);
        }
        finally
        {
            activities.Release();
        }
    }

    // The same answer may be sent again; an answer that fails is never replaced by another one.
    private async Task AnswerAsync(Func<CancellationToken, AsyncUnaryCall<Wire.CompleteTaskResponse>> send, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await send(cancellationToken);
                return;
            }
            catch (RpcException exception) when (exception.StatusCode == StatusCode.Unavailable && attempt < AnswerTries)
            {
                await Task.Delay(AnswerDelay, time, cancellationToken);
            }
        }
    }
}
