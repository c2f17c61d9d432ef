using Npgsql;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>How instances move: from messages to a turn, from a worker's answer to a commit, from the commit to what it asks for.</summary>
internal sealed partial class WorkflowEngine
{
    /// <summary>Above this part of what a worker accepts in one message, an instance is held: it could not be sent any more.</summary>
    private const double PayloadPartMax = 0.95;

    private readonly HashSet<LiveInstance> moved = [];

    /// <summary>A worker's answer. One that nobody waits for is dropped, as daprd does.</summary>
    public void CompleteTurn(string appId, WorkflowResponse response)
    {
        lock (gate)
        {
            if (Find(new InstanceAddress(appId, response.InstanceId)) is not { Turn: { IsAnswered: false } turn } instance
                || (response.CompletionToken.Length > 0 && response.CompletionToken != turn.Token))
            {
                return;
            }

            instance.Queue.End(turn);
            Answer(instance, turn, response);
        }
    }

    /// <summary>An activity's result; durable when the task is done.</summary>
    public async Task CompleteActivityAsync(string appId, ActivityResponse response)
    {
        Task stored;
        lock (gate)
        {
            if (!queues.TryGetValue(appId, out var queue) || queue.Find(response.InstanceId, response.TaskId, response.CompletionToken) is not { } entry)
            {
                return;
            }

            queue.End(entry);
            var message = new Message(entry.ToEvent(response, time.GetUtcNow()), entry.Generation);
            var outgoing = new Outgoing(entry.Parent, message, entry.ParentKey);
            if (byKey.GetValueOrDefault(entry.ParentKey) is not { } instance)
            {
                var unit = new MessageUnit(this, outgoing, null);
                Enqueue(unit);
                stored = unit.Result;
            }
            else
            {
                instance.Activities.Remove(response.TaskId);
                stored = Hear(instance, outgoing);
            }
        }

        await stored;
    }

    /// <summary>Tells a message at once and stores it meanwhile: a turn that answers before that takes both in one write.</summary>
    private Task Hear(LiveInstance instance, Outgoing outgoing)
    {
        if (instance.Record.IsTerminal)
        {
            instance.Open.Apply(outgoing.Message.Event);
            ReleaseIfDone(instance);
            return Task.CompletedTask;
        }

        if (!instance.Wants(outgoing.Message))
        {
            return Task.CompletedTask;
        }

        instance.Accept(outgoing.Message);
        var unit = new MessageUnit(this, outgoing, instance);
        Enqueue(unit);
        Continue(instance);
        return unit.Result;
    }

    /// <summary>Takes what is to be heard into a turn, if nothing speaks against it.</summary>
    public void Continue(LiveInstance instance)
    {
        if (instance.IsGone || instance.Turn is not null || instance.Record.IsTerminal || (instance.IsHeld && !instance.Inbox.Exists(IsTermination)))
        {
            return;
        }

        var now = time.GetUtcNow();
        var isFirst = instance.History.Count == 0;
        var picked = InboxRules.Pick(instance.Inbox, instance.IsSuspended);
        var isTerminated = picked.Count > 0 && IsTermination(picked[^1]);
        if (isFirst && instance.Record.Generation == 1 && instance.Record.ScheduledAt is { } due && due > now && !isTerminated)
        {
            timers.Add(instance, null, due);
            return;
        }

        if (!isFirst && picked.Count == 0)
        {
            return;
        }

        var started = Wire.NewEvent(now);
        started.WorkflowStarted = new WorkflowStartedEvent();
        var turn = new TurnEntry(instance, [started, .. isFirst ? instance.Record.Start : [], .. picked.Select(message => message.Event)], picked);
        instance.Turn = turn;
        instance.UsedAt = time.GetTimestamp();
        if (isTerminated && instance.Record.Stalled is not null)
        {
            // No worker can be asked about a stalled instance, but an operator must be able to end it.
            Answer(instance, turn, TurnRules.Terminate(instance.Record.Address.InstanceId, picked[^1].Event));
            return;
        }

        var bytes = instance.HistoryBytes + instance.InboxBytes + (isFirst ? turn.NewEvents.Sum(happened => (long)happened.CalculateSize()) : 0);
        var bytesMax = (long)(instance.Queue.MessageBytesMax * PayloadPartMax);
        if (bytes > bytesMax)
        {
            var stalled = TurnRules.Stall(now, StalledReason.PayloadSizeExceeded,
                $"History and inbox have {bytes} bytes (limit {bytesMax}, {PayloadPartMax:P0} of maxBodySize). Raise maxBodySize of {instance.Record.Address.AppId}, or let the workflow continue as new more often.");
            Commit(instance, turn, new TurnOutcome { Kind = TurnKind.Stalled, Stalled = stalled, CustomStatus = instance.Record.CustomStatus });
            return;
        }

        instance.Queue.Add(turn);
    }

    private static bool IsTermination(Message message) => message.Event.EventTypeCase == HistoryEvent.EventTypeOneofCase.ExecutionTerminated;

    private void Answer(LiveInstance instance, TurnEntry turn, WorkflowResponse response)
    {
        var outcome = TurnRules.Decide(new TurnInput
        {
            Record = instance.Record, History = instance.History, NewEvents = turn.NewEvents, Response = response, Now = time.GetUtcNow(),
            IsReachable = queues.ContainsKey,
        });
        foreach (var ignored in outcome.Ignored)
        {
            LogIgnored(logger, instance.Record.Address, ignored);
        }

        Commit(instance, turn, outcome);
    }

    private void Commit(LiveInstance instance, TurnEntry turn, TurnOutcome outcome)
    {
        turn.IsAnswered = true;
        var now = time.GetUtcNow();
        var before = instance.Record;
        var isSuspended = outcome.Events.Aggregate(instance.IsSuspended, (was, happened) => happened.EventTypeCase switch
        {
            HistoryEvent.EventTypeOneofCase.ExecutionSuspended => true,
            HistoryEvent.EventTypeOneofCase.ExecutionResumed => false,
            _ => was,
        });
        var after = before with
        {
            Version = before.Version + 1,
            Generation = outcome.Kind == TurnKind.ContinuedAsNew ? before.Generation + 1 : before.Generation,
            Status = outcome.Kind switch
            {
                TurnKind.Ended => outcome.Completed!.ExecutionCompleted.WorkflowStatus,
                TurnKind.Stalled => OrchestrationStatus.Stalled,
                TurnKind.Goes when isSuspended => OrchestrationStatus.Suspended,
                _ => OrchestrationStatus.Running,
            },
            Start = outcome.Kind == TurnKind.ContinuedAsNew ? outcome.NextStart : before.Start,
            Completed = outcome.Completed,
            Stalled = outcome.Stalled,
            CustomStatus = outcome.CustomStatus,
            UpdatedAt = now,
            StartedAt = before.StartedAt ?? now,
            CompletedAt = outcome.Completed is null ? null : now,
        };
        Enqueue(new TurnUnit(this, instance, turn, outcome, after));
    }

    /// <summary>A turn is in the database: memory follows, and what it asked for begins.</summary>
    public void TurnCommitted(LiveInstance instance, TurnEntry turn, TurnOutcome outcome, InstanceRecord after, int bytes, bool keepsOwner)
    {
        if (instance.IsGone)
        {
            return;
        }

        instance.Turn = null;
        instance.Record = after;
        instance.IsHeld = outcome.Kind == TurnKind.Stalled;
        instance.UsedAt = time.GetTimestamp();
        if (outcome.Kind != TurnKind.Stalled)
        {
            instance.Remove(turn.Taken);
            instance.Leftover.Clear();
        }

        if (outcome.Kind == TurnKind.ContinuedAsNew)
        {
            instance.BeginAnew();
        }

        instance.Append(outcome.Events, bytes);
        if (after.Stalled is { } stalled)
        {
            LogStalled(logger, after.Address, stalled.ExecutionStalled.Reason, stalled.ExecutionStalled.Description);
        }

        foreach (var happened in outcome.Events)
        {
            Undertake(instance, happened);
        }

        if (after.IsTerminal)
        {
            instance.Remove([.. instance.Inbox]);
            if (!keepsOwner)
            {
                Unload(instance);
            }
            else
            {
                ReleaseIfDone(instance);
            }
        }

        Tell(after);
    }

    public void TurnFailed(LiveInstance instance, TurnEntry turn, Exception cause)
    {
        if (instance.IsGone || instance.Turn != turn)
        {
            return;
        }

        if (cause is PostgresException { SqlState: not WorkflowSchema.Fenced })
        {
            // Tried again when a worker connects or the host starts, as for a stalled one: at once it would only fail again.
            instance.Turn = null;
            instance.IsHeld = true;
            LogTurnRefused(logger, cause, instance.Record.Address);
            return;
        }

        Unload(instance);
    }

    /// <summary>Begins what a history entry stands for and has not been answered.</summary>
    private void Undertake(LiveInstance instance, HistoryEvent happened)
    {
        switch (happened.EventTypeCase)
        {
            case HistoryEvent.EventTypeOneofCase.TaskScheduled when instance.Open.Task(happened.EventId) == happened:
                Dispatch(instance, happened);
                break;
            case HistoryEvent.EventTypeOneofCase.TimerCreated when instance.Open.Timer(happened.EventId) == happened && !instance.Record.IsTerminal:
                timers.Add(instance, happened.EventId, OpenWork.FireAt(happened));
                break;
        }
    }

    private void Dispatch(LiveInstance instance, HistoryEvent scheduled)
    {
        var target = scheduled.Router is { HasTargetAppID: true } router ? router.TargetAppID : instance.Record.Address.AppId;
        if (!queues.TryGetValue(target, out var queue))
        {
            return;
        }

        var earlier = instance.History.TakeWhile(happened => happened != scheduled);
        var entry = new ActivityEntry(instance.Record, scheduled, scheduled.TaskScheduled.HasHistoryPropagationScope
            ? Propagation.Build(instance.Record, earlier, scheduled.TaskScheduled.HistoryPropagationScope) : null);
        if (queue.Find(entry.Id.InstanceId, entry.Id.TaskId, entry.Token) is { } given)
        {
            // A worker has had it since before the instance was read anew.
            instance.Activities[scheduled.EventId] = given;
            return;
        }

        instance.Activities[scheduled.EventId] = entry;
        queue.Add(entry);
    }

    /// <summary>An instance that was just inserted.</summary>
    public void Begin(FreshInstance fresh)
    {
        if (live.GetValueOrDefault(fresh.Record.Address) is { } old)
        {
            // Its id was used again, so its row is gone.
            Unload(old);
        }

        if (fresh.IsOwned)
        {
            Continue(Take(fresh.Record));
        }
        else
        {
            Poke();
        }

        Tell(fresh.Record);
    }

    /// <summary>A message that was stored together with a turn of the sender.</summary>
    public void Deliver(LiveInstance target, Message message)
    {
        if (!target.IsGone && !target.Record.IsTerminal)
        {
            target.Accept(message);
            ContinueLater(target);
        }
    }

    /// <summary>When everything of this commit is in memory: what came together is heard in one turn.</summary>
    public void ContinueLater(LiveInstance instance) => moved.Add(instance);

    private void ContinueMoved()
    {
        foreach (var instance in moved)
        {
            Continue(instance);
        }

        moved.Clear();
    }

    public static InstanceRecord NewRecord(Beginning beginning, DateTimeOffset now) => new()
    {
        Key = Guid.CreateVersion7(),
        Address = beginning.Address,
        Status = OrchestrationStatus.Pending,
        Generation = 1,
        Version = 0,
        Start = [beginning.Start],
        CreatedAt = now,
        UpdatedAt = now,
        ScheduledAt = beginning.ScheduledAt,
    };

    private LiveInstance Take(InstanceRecord record)
    {
        var instance = new LiveInstance(record, queues[record.Address.AppId]) { UsedAt = time.GetTimestamp() };
        live[record.Address] = instance;
        byKey[record.Key] = instance;
        return instance;
    }

    /// <summary>Out of memory; whoever needs it next reads it anew.</summary>
    public void Unload(LiveInstance instance)
    {
        instance.IsGone = true;
        byKey.Remove(instance.Record.Key);
        if (live.GetValueOrDefault(instance.Record.Address) == instance)
        {
            live.Remove(instance.Record.Address);
        }

        if (instance.Turn is { } turn)
        {
            instance.Queue.End(turn);
        }

        foreach (var activity in instance.Activities.Values.Where(activity => activity.Stream is null))
        {
            // What a worker has already can still be answered; its answer then goes to the database.
            QueueOf(activity).End(activity);
        }

        Tell(instance.Record);
    }

    private AppQueue QueueOf(ActivityEntry activity) => queues[activity.Scheduled.Router is { HasTargetAppID: true } router ? router.TargetAppID : activity.Parent.AppId];

    private void ReleaseIfDone(LiveInstance instance)
    {
        if (instance.Record.IsTerminal && instance.Open.Tasks.Count == 0 && !instance.IsGone)
        {
            Enqueue(new ReleaseUnit(this, [instance]));
        }
    }

    public bool MayRelease(LiveInstance instance) => instance.Record.IsTerminal ? instance.Open.Tasks.Count == 0 : instance.IsIdle || instance.Queue.Streams.Count == 0;

    [LoggerMessage(LogLevel.Warning, "Workflow {Instance} is stalled ({Reason}): {Description}")]
    private static partial void LogStalled(ILogger logger, InstanceAddress instance, StalledReason reason, string description);

    [LoggerMessage(LogLevel.Warning, "Workflow {Instance}: ignored {What}")]
    private static partial void LogIgnored(ILogger logger, InstanceAddress instance, string what);

    [LoggerMessage(LogLevel.Error, "Workflow {Instance}: the database refused its turn; it is tried again when a worker connects or the host starts")]
    private static partial void LogTurnRefused(ILogger logger, Exception exception, InstanceAddress instance);
}
