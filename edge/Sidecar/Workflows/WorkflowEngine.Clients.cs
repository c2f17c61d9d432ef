using Grpc.Core;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>What clients ask for.</summary>
internal sealed partial class WorkflowEngine
{
    private const int PageSizeMax = 1000;

    /// <summary>Waits for the first turn, unless a start time is given.</summary>
    /// <returns>The instance's id.</returns>
    public async Task<string> StartAsync(string appId, CreateInstanceRequest request, string? traceParent, CancellationToken cancellationToken)
    {
        var id = request.InstanceId.Length > 0 ? request.InstanceId : Guid.CreateVersion7().ToString();
        var address = Address(appId, id);
        if (request.Name.Length == 0)
        {
            throw WorkflowError.Invalid("The workflow has no name. Give the name under which a worker has registered it.");
        }

        var now = time.GetUtcNow();
        var start = Wire.NewEvent(now);
        start.ExecutionStarted = new ExecutionStartedEvent
        {
            Name = request.Name,
            Version = request.Version,
            Input = request.Input,
            WorkflowInstance = new WorkflowInstance
            {
                InstanceId = id, ExecutionId = request.ExecutionId is { Length: > 0 } given ? given : Guid.CreateVersion7().ToString("N"),
            },
            ScheduledStartTimestamp = request.ScheduledStartTimestamp,
            ParentTraceContext = request.ParentTraceContext ?? (string.IsNullOrEmpty(traceParent) ? null : new TraceContext { TraceParent = traceParent }),
            Tags = { request.Tags },
        };
        var scheduledAt = Wire.Moment(request.ScheduledStartTimestamp);
        var record = NewRecord(new Beginning { Address = address, Start = start, ScheduledAt = scheduledAt }, now);
        var unit = new StartUnit(this, record, request.EnforceUniqueInstanceId);
        await OpenedAsync(cancellationToken);
        lock (gate)
        {
            Enqueue(unit);
        }

        if (!await unit.Result)
        {
            throw new WorkflowError(StatusCode.AlreadyExists,
                $"an active workflow with ID '{id}' already exists in app {appId}; wait for its end and that of its children, or use another id");
        }

        if (scheduledAt is null)
        {
            // Gone means that it was purged or reused in between, so it has begun.
            await WaitAsync(address, now => now.Status != OrchestrationStatus.Pending || now.Key != record.Key, mayAppear: false, cancellationToken);
        }

        return id;
    }

    public async Task<InstanceRecord?> GetAsync(string appId, string instanceId, CancellationToken cancellationToken)
    {
        var address = Address(appId, instanceId);
        lock (gate)
        {
            if (Find(address) is { } instance)
            {
                return instance.Record;
            }
        }

        return await store.FindAsync(address, cancellationToken);
    }

    public async Task RaiseAsync(string appId, string instanceId, string name, string? payload, CancellationToken cancellationToken)
    {
        var raised = Wire.NewEvent(time.GetUtcNow());
        raised.EventRaised = new EventRaisedEvent { Name = name, Input = payload };
        var fate = await SendAsync(Address(appId, instanceId), raised, refuseStalled: true).WaitAsync(cancellationToken);
        if (fate.IsStalled)
        {
            throw new WorkflowError(StatusCode.Unknown, $"workflow '{instanceId}' of app {appId}: workflow is stalled");
        }
    }

    /// <summary>Waits until the instance has ended.</summary>
    public async Task TerminateAsync(string appId, string instanceId, string? output, bool recursive, CancellationToken cancellationToken)
    {
        var terminated = Wire.NewEvent(time.GetUtcNow());
        terminated.ExecutionTerminated = new ExecutionTerminatedEvent { Input = output, Recurse = recursive };
        var address = Address(appId, instanceId);
        await SendAsync(address, terminated).WaitAsync(cancellationToken);
        await WaitAsync(address, record => record.IsTerminal, mayAppear: false, cancellationToken);
    }

    public async Task SuspendAsync(string appId, string instanceId, string? reason, CancellationToken cancellationToken)
    {
        var suspended = Wire.NewEvent(time.GetUtcNow());
        suspended.ExecutionSuspended = new ExecutionSuspendedEvent { Input = reason };
        var address = Address(appId, instanceId);
        await SendAsync(address, suspended).WaitAsync(cancellationToken);
        await WaitAsync(address, record => record.Status == OrchestrationStatus.Suspended || record.IsTerminal, mayAppear: false, cancellationToken);
    }

    public async Task ResumeAsync(string appId, string instanceId, string? reason, CancellationToken cancellationToken)
    {
        var resumed = Wire.NewEvent(time.GetUtcNow());
        resumed.ExecutionResumed = new ExecutionResumedEvent { Input = reason };
        var address = Address(appId, instanceId);
        await SendAsync(address, resumed).WaitAsync(cancellationToken);
        await WaitAsync(address, record => record.Status != OrchestrationStatus.Suspended, mayAppear: false, cancellationToken);
    }

    public async Task<IReadOnlyList<HistoryEvent>> ReadHistoryAsync(string appId, string instanceId, CancellationToken cancellationToken)
    {
        var address = Address(appId, instanceId);
        var record = await store.FindAsync(address, cancellationToken) ?? throw WorkflowError.NotFound(address);
        var history = await store.ReadHistoryAsync(record.Key, cancellationToken);
        return record.Stalled is { } stalled ? [.. history, stalled] : history;
    }

    /// <returns>A page of ids, and where the next one begins; null after the last.</returns>
    public async Task<(IReadOnlyList<string> Ids, string? Next)> ListAsync(string appId, string? continuation, uint? pageSize, CancellationToken cancellationToken)
    {
        if (continuation?.Contains('\0', StringComparison.Ordinal) is true)
        {
            throw WorkflowError.Invalid("The continuation token is not one of ours. Pass on the one of the page before, or none.");
        }

        var count = (int)Math.Min(pageSize is null or 0 ? PageSizeMax : pageSize.Value, PageSizeMax);
        var ids = await store.ListAsync(appId, continuation ?? "", count + 1, cancellationToken);
        return ids.Count > count ? ([.. ids.Take(count)], ids[count - 1]) : (ids, null);
    }

    private async Task<MessageFate> SendAsync(InstanceAddress address, HistoryEvent happened, bool refuseStalled = false)
    {
        var outgoing = new Outgoing(address, new Message(happened));
        await OpenedAsync(Stopping);
        MessageUnit unit;
        lock (gate)
        {
            if (Find(address) is { IsEnding: false } instance)
            {
                if (instance.Record.IsTerminal || (refuseStalled && instance.Record.Stalled is not null))
                {
                    return new MessageFate(instance.Record.Key, null, instance.Record.IsTerminal, instance.Record.Stalled is not null);
                }

                instance.Accept(outgoing.Message);
                unit = new MessageUnit(this, outgoing, instance);
                Enqueue(unit);
                Continue(instance);
            }
            else
            {
                unit = new MessageUnit(this, outgoing, null, refuseStalled);
                Enqueue(unit);
            }
        }

        return await unit.Result ?? throw WorkflowError.Unknown(address);
    }

    private static InstanceAddress Address(string appId, string instanceId) =>
        InstanceIds.Problem(instanceId) is { } problem ? throw WorkflowError.Invalid(problem) : new InstanceAddress(appId, instanceId);
}
