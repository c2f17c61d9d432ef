using Microsoft.Extensions.Logging;

namespace Dapr.Workflow;

/// <summary>A workflow's only link with the world. Use it from the workflow's own code, never from another thread.</summary>
public abstract class WorkflowContext : IWorkflowContext
{
    /// <summary>The name under which the workflow was started.</summary>
    public abstract string Name { get; }

    /// <summary>The instance's id.</summary>
    public abstract string InstanceId { get; }

    /// <inheritdoc />
    public abstract DateTime CurrentUtcDateTime { get; }

    /// <inheritdoc />
    public abstract bool IsReplaying { get; }

    /// <inheritdoc />
    public abstract bool IsPatched(string patchName);

    /// <summary>Runs an activity whose result is not needed.</summary>
    /// <param name="name">The activity's registered name.</param>
    /// <param name="input">Written as JSON; null for none.</param>
    /// <param name="options">Retries, another app to run it.</param>
    /// <exception cref="WorkflowTaskFailedException">The activity threw and the retry policy, if any, is used up.</exception>
    public virtual Task CallActivityAsync(string name, object? input = null, WorkflowTaskOptions? options = null) =>
        CallActivityAsync<object?>(name, input, options);

    /// <summary>Runs an activity and gives its result.</summary>
    /// <inheritdoc cref="CallActivityAsync(string, object?, WorkflowTaskOptions?)"/>
    public abstract Task<T> CallActivityAsync<T>(string name, object? input = null, WorkflowTaskOptions? options = null);

    /// <summary>A durable timer: done <paramref name="delay"/> after the current turn's time, also across restarts.</summary>
    public virtual Task CreateTimer(TimeSpan delay, CancellationToken cancellationToken = default) =>
        CreateTimer(CurrentUtcDateTime.Add(delay), cancellationToken);

    /// <summary>A durable timer: done at <paramref name="fireAt"/>, UTC. Cancelling ends the wait, the timer itself fires unheard.</summary>
    public abstract Task CreateTimer(DateTime fireAt, CancellationToken cancellationToken);

    /// <summary>
    /// Waits for the next event of that name, case ignored. Events that came before anyone waited are kept and given out in their order.
    /// </summary>
    public abstract Task<T> WaitForExternalEventAsync<T>(string eventName, CancellationToken cancellationToken = default);

    /// <summary>Waits for the next event of that name, at most <paramref name="timeout"/>; negative means for ever.</summary>
    /// <exception cref="TaskCanceledException">The time is over.</exception>
    public virtual async Task<T> WaitForExternalEventAsync<T>(string eventName, TimeSpan timeout)
    {
        using var stopTimer = new CancellationTokenSource();
        using var stopWaiting = new CancellationTokenSource();
        var timer = CreateTimer(timeout, stopTimer.Token);
        var waiting = WaitForExternalEventAsync<T>(eventName, stopWaiting.Token);
        var lost = await Task.WhenAny(waiting, timer) == timer ? stopWaiting : stopTimer;
#pragma warning disable CA1849 // CancelAsync would run the callbacks on another thread.
        lost.Cancel();
#pragma warning restore CA1849
        return await waiting;
    }

    /// <summary>Raises an event at another instance of the same app, without waiting for it.</summary>
    public abstract void SendEvent(string instanceId, string eventName, object payload);

    /// <summary>Shows <paramref name="customStatus"/>, as JSON, to those who ask for the instance's state.</summary>
    public abstract void SetCustomStatus(object? customStatus);

    /// <summary>Runs another workflow as a child and gives its result.</summary>
    /// <param name="workflowName">The child's registered name.</param>
    /// <param name="input">Written as JSON; null for none.</param>
    /// <param name="options">The child's id, retries, another app to run it.</param>
    /// <exception cref="WorkflowTaskFailedException">The child failed or was terminated, or its id is in use.</exception>
    public abstract Task<TResult> CallChildWorkflowAsync<TResult>(string workflowName, object? input = null, ChildWorkflowTaskOptions? options = null);

    /// <summary>Runs another workflow as a child whose result is not needed.</summary>
    /// <inheritdoc cref="CallChildWorkflowAsync{TResult}(string, object?, ChildWorkflowTaskOptions?)"/>
    public virtual Task CallChildWorkflowAsync(string workflowName, object? input = null, ChildWorkflowTaskOptions? options = null) =>
        CallChildWorkflowAsync<object?>(workflowName, input, options);

    /// <summary>A logger that is silent while the code replays.</summary>
    /// <param name="categoryName">The log category.</param>
    public abstract ILogger CreateReplaySafeLogger(string categoryName);

    /// <inheritdoc cref="CreateReplaySafeLogger(string)"/>
    public abstract ILogger CreateReplaySafeLogger(Type type);

    /// <inheritdoc cref="CreateReplaySafeLogger(string)"/>
    public abstract ILogger CreateReplaySafeLogger<T>();

    /// <summary>Starts the instance afresh, with an empty history, once the workflow's code has returned.</summary>
    /// <param name="newInput">The input of the next generation.</param>
    /// <param name="preserveUnprocessedEvents">Whether events that nobody has taken yet go along.</param>
    public abstract void ContinueAsNew(object? newInput = null, bool preserveUnprocessedEvents = true);

    /// <summary>A new id, the same in every replay.</summary>
    public abstract Guid NewGuid();

    /// <summary>What the caller passed on of its own history, or null.</summary>
    public abstract PropagatedHistory? GetPropagatedHistory();
}
