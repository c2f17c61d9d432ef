using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Writes that belong together. All three methods run under the engine's lock; units are added and finished in the order of their coming.</summary>
internal abstract class CommitUnit
{
    /// <summary>May run again, if the transaction failed and its units are tried one by one.</summary>
    public abstract void AddTo(CommitBatch batch);

    public abstract void Done(CommitBatch batch);

    /// <summary>Nothing of it was written, or, when the session broke, nobody knows.</summary>
    public abstract void Failed(Exception cause);
}

/// <summary>A client's start. True when the instance was made, false when its id is in use.</summary>
internal sealed class StartUnit(WorkflowEngine engine, InstanceRecord record, bool onlyUnusedId) : CommitUnit
{
    private readonly TaskCompletionSource<bool> result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FreshInstance fresh = null!;

    public Task<bool> Result => result.Task;

    public override void AddTo(CommitBatch batch)
    {
        // What begins later is taken up when it is due.
        fresh = new FreshInstance(record, record.ScheduledAt is null && engine.HasWorker(record.Address.AppId), onlyUnusedId, null);
        batch.Insert(fresh);
    }

    public override void Done(CommitBatch batch)
    {
        var isMade = batch.Inserted.Contains(record.Key);
        if (isMade)
        {
            engine.Begin(fresh);
        }

        result.TrySetResult(isMade);
    }

    public override void Failed(Exception cause) => result.TrySetException(cause);
}

/// <summary>One message to one instance. The result is null where there is no such instance.</summary>
internal sealed class MessageUnit(WorkflowEngine engine, Outgoing outgoing, LiveInstance? acceptedBy, bool refuseStalled = false) : CommitUnit
{
    private readonly TaskCompletionSource<MessageFate?> result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool isSent;

    public Task<MessageFate?> Result => result.Task;

    public override void AddTo(CommitBatch batch)
    {
        isSent = false;
        if (outgoing.Message.IsOver)
        {
            return;
        }

        if (acceptedBy is { IsGone: false, IsEnding: false })
        {
            batch.Store(acceptedBy.Record.Key, outgoing.Message);
            return;
        }

        isSent = true;
        batch.Send(outgoing, refuseStalled);
    }

    public override void Done(CommitBatch batch)
    {
        if (!isSent)
        {
            outgoing.Message.IsStored |= batch.HasStored(outgoing.Message);
            result.TrySetResult(new MessageFate(acceptedBy!.Record.Key, null, acceptedBy.Record.IsTerminal, false));
            return;
        }

        batch.Fates.TryGetValue(outgoing.Message.Id, out var fate);
        engine.Poke();
        result.TrySetResult(fate);
    }

    public override void Failed(Exception cause) => result.TrySetException(cause);
}

/// <summary>Gives up ownership of instances that need no memory now.</summary>
internal sealed class ReleaseUnit(WorkflowEngine engine, IReadOnlyList<LiveInstance> instances) : CommitUnit
{
    private readonly List<LiveInstance> released = [];

    public override void AddTo(CommitBatch batch)
    {
        foreach (var instance in instances)
        {
            if (!released.Contains(instance))
            {
                if (instance.IsGone || instance.Turn is { IsAnswered: true } || !engine.MayRelease(instance))
                {
                    continue;
                }

                engine.Unload(instance);
                released.Add(instance);
            }

            foreach (var leftover in instance.Leftover.Where(message => message.IsStored))
            {
                batch.Take(instance.Record.Key, leftover.Id);
            }

            batch.Release(instance.Record.Key);
        }
    }

    public override void Done(CommitBatch batch) => engine.Poke();

    // Out of memory but still owned, they would wait for ever.
    public override void Failed(Exception cause) => engine.StartOver();
}

/// <summary>One turn with everything that it asked for.</summary>
internal sealed class TurnUnit(WorkflowEngine engine, LiveInstance instance, TurnEntry turn, TurnOutcome outcome, InstanceRecord after) : CommitUnit
{
    private readonly byte[] events = Wire.Write(outcome.Events);
    private readonly List<FreshInstance> fresh = [];
    private readonly List<(LiveInstance Target, Message Message)> delivered = [];
    private bool keepsOwner;

    public override void AddTo(CommitBatch batch)
    {
        fresh.Clear();
        delivered.Clear();
        var key = instance.Record.Key;
        var isEnd = outcome.Kind == TurnKind.Ended;
        instance.IsEnding = isEnd;

        // Activities that an ended workflow has left running are still given out until each has run.
        keepsOwner = !isEnd || (after.Status != OrchestrationStatus.Terminated
            && (instance.Open.Tasks.Count > 0 || outcome.Events.Any(happened => happened.EventTypeCase == HistoryEvent.EventTypeOneofCase.TaskScheduled)));
        if (outcome.Kind != TurnKind.Stalled)
        {
            TakeMessages(batch, key);
        }

        if (outcome.Kind == TurnKind.ContinuedAsNew)
        {
            batch.ForgetHistory(key);
        }
        else if (outcome.Events.Count > 0)
        {
            batch.Append(key, after.Version, events);
        }

        foreach (var beginning in outcome.Beginnings)
        {
            Begin(batch, beginning);
        }

        foreach (var outgoing in outcome.Outgoing)
        {
            Send(batch, outgoing);
        }

        foreach (var answer in outcome.OwnAnswers)
        {
            var message = new Message(answer, after.Generation);
            delivered.Add((instance, message));
            batch.Store(key, message);
        }

        if (outcome.ChildrenTerminated is { } terminated)
        {
            batch.TerminateChildren(key, terminated);
        }

        batch.Change(new ChangedInstance(after, keepsOwner, WakeAt(), outcome.Kind == TurnKind.ContinuedAsNew));
    }

    public override void Done(CommitBatch batch)
    {
        foreach (var message in delivered.Select(item => item.Message))
        {
            message.IsStored = true;
        }

        engine.TurnCommitted(instance, turn, outcome, after, events.Length, keepsOwner);
        foreach (var child in fresh)
        {
            if (batch.Inserted.Contains(child.Record.Key))
            {
                engine.Begin(child);
            }
            else if (child.Refusal is { } refusal && batch.Refused.Contains(refusal.Id))
            {
                refusal.IsStored = true;
                engine.Deliver(instance, refusal);
            }
        }

        foreach (var (target, message) in delivered)
        {
            engine.Deliver(target, message);
        }

        if (batch.Fates.Count > 0 || outcome.ChildrenTerminated is not null)
        {
            engine.Poke();
        }

        engine.ContinueLater(instance);
    }

    public override void Failed(Exception cause)
    {
        instance.IsEnding = false;
        engine.TurnFailed(instance, turn, cause);
    }

    private void TakeMessages(CommitBatch batch, Guid key)
    {
        var isOver = outcome.Kind switch
        {
            TurnKind.Ended => (Func<Message, bool>)(static _ => true),
            // What was meant for the old generation only.
            TurnKind.ContinuedAsNew => static message => message.Generation is not null,
            _ => static _ => false,
        };
        foreach (var message in turn.Taken.Concat(instance.Leftover).Concat(instance.Inbox.Where(isOver)).Distinct())
        {
            if (message.IsStored)
            {
                batch.Take(key, message.Id);
            }
            else
            {
                batch.Unstore(message);
            }
        }

        if (outcome.Kind == TurnKind.Ended)
        {
            batch.ClearInbox(key);
        }
    }

    private void Begin(CommitBatch batch, Beginning beginning)
    {
        var propagated = Propagation.Build(instance.Record, instance.History.Concat(outcome.Events), beginning.Propagation);
        var record = WorkflowEngine.NewRecord(beginning, after.UpdatedAt) with
        {
            Parent = beginning.ParentTask is { } task ? new ParentLink(instance.Record.Key, after.Generation, task) : null,
            Propagated = propagated is null ? null : Google.Protobuf.MessageExtensions.ToByteArray(propagated),
        };
        var refusal = beginning.ParentTask is not { } action || outcome.Kind == TurnKind.Ended ? null : new Message(
            ActionReader.ChildFailed(after.UpdatedAt, action, TurnRules.Failure(TurnRules.AlreadyExists,
                $"An instance '{beginning.Address.InstanceId}' of app {beginning.Address.AppId} exists and has not ended. Give the child another id or wait for that one.")),
            after.Generation);
        var instanceToBegin = new FreshInstance(record, beginning.ScheduledAt is null && engine.HasWorker(beginning.Address.AppId), false, refusal);
        fresh.Add(instanceToBegin);
        batch.Insert(instanceToBegin);
    }

    private void Send(CommitBatch batch, Outgoing outgoing)
    {
        if (engine.Find(outgoing.Target) is not { IsEnding: false } target || (outgoing.TargetKey is { } wanted && wanted != target.Record.Key))
        {
            batch.Send(outgoing, refuseStalled: false);
            return;
        }

        if (target.Wants(outgoing.Message))
        {
            delivered.Add((target, outgoing.Message));
            batch.Store(target.Record.Key, outgoing.Message);
        }
    }

    private DateTimeOffset? WakeAt()
    {
        if (outcome.Kind == TurnKind.Ended)
        {
            return keepsOwner ? DateTimeOffset.MinValue : null;
        }

        // A message that has come meanwhile, or a first turn to come: at once. Open activities must be given out by whoever takes over.
        if (outcome.Kind != TurnKind.Goes || instance.Open.Tasks.Count > 0 || outcome.OwnAnswers.Count > 0
            || outcome.Events.Any(happened => happened.EventTypeCase == HistoryEvent.EventTypeOneofCase.TaskScheduled)
            || instance.Inbox.Count > turn.Taken.Count)
        {
            return DateTimeOffset.MinValue;
        }

        var next = outcome.Events.Where(happened => happened.EventTypeCase == HistoryEvent.EventTypeOneofCase.TimerCreated)
            .Select(OpenWork.FireAt).Append(instance.Open.NextTimerAt ?? Wire.Never).Min();
        return next < Wire.Never ? next : null;
    }
}
