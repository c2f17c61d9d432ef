using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>
/// An instance that this host owns, in memory: what is committed, and what has come since. Losing it loses nothing, it is read anew.
/// Used only under the engine's lock.
/// </summary>
internal sealed class LiveInstance
{
    private readonly HashSet<Guid> foreignSeen = [];

    public LiveInstance(InstanceRecord record, AppQueue queue)
    {
        Record = record;
        Queue = queue;
    }

    public InstanceRecord Record { get; set; }
    public AppQueue Queue { get; }
    public List<HistoryEvent> History { get; private set; } = [];
    public long HistoryBytes { get; private set; }
    public List<Message> Inbox { get; } = [];
    public long InboxBytes { get; private set; }
    public OpenWork Open { get; private set; } = new();
    public bool IsSuspended { get; private set; }

    /// <summary>Under way at a worker, or being committed.</summary>
    public TurnEntry? Turn { get; set; }
    public Dictionary<int, ActivityEntry> Activities { get; } = [];

    /// <summary>No longer in memory: whoever still holds it must not use it.</summary>
    public bool IsGone { get; set; }

    /// <summary>Held until another worker comes.</summary>
    public bool IsHeld { get; set; }
    public long UsedAt { get; set; }

    /// <summary>Rows of messages that turned out to mean nothing; the next turn removes them.</summary>
    public List<Message> Leftover { get; } = [];

    /// <summary>Its end is being written: messages for it no longer count.</summary>
    public bool IsEnding { get; set; }

    /// <summary>Nothing but time or a message can move it on.</summary>
    public bool IsIdle => Turn is null && Inbox.Count == 0 && Open.Tasks.Count == 0 && History.Count > 0 && !IsHeld;

    /// <summary>Takes in what was stored. Timers that were due before a message came are heard before it, as they would have been.</summary>
    public void Restore(StoredInstance stored)
    {
        Append(stored.History, stored.HistoryBytes);
        Open = new OpenWork();
        History.ForEach(happened => Open.Apply(happened));
        foreach (var message in stored.Inbox)
        {
            FireDue(Wire.Moment(message.Event.Timestamp) ?? DateTimeOffset.MinValue);
            foreignSeen.Add(message.Id);
            Accept(message);
        }
    }

    /// <summary>The history grows by what was committed.</summary>
    public void Append(IReadOnlyList<HistoryEvent> events, long bytes)
    {
        History.AddRange(events);
        HistoryBytes += bytes;
        foreach (var happened in events)
        {
            IsSuspended = happened.EventTypeCase switch
            {
                HistoryEvent.EventTypeOneofCase.ExecutionSuspended => true,
                HistoryEvent.EventTypeOneofCase.ExecutionResumed => false,
                _ => IsSuspended,
            };
        }

        Count(events);
    }

    // Answers and raised events were counted when they came; only what the turn itself asks for is new. An event that came while the turn
    // was under way must meet the time limits that the turn has set, as it would if all were read anew.
    private void Count(IReadOnlyList<HistoryEvent> events)
    {
        if (Inbox.Count > 0 && events.Any(happened => happened.TimerCreated is { OriginCase: TimerCreatedEvent.OriginOneofCase.ExternalEvent }))
        {
            Open = new OpenWork();
            History.ForEach(happened => Open.Apply(happened));
            Inbox.ForEach(message => Open.Apply(message.Event));
            return;
        }

        foreach (var happened in events)
        {
            if (happened.EventTypeCase is HistoryEvent.EventTypeOneofCase.TaskScheduled or HistoryEvent.EventTypeOneofCase.TimerCreated
                or HistoryEvent.EventTypeOneofCase.ChildWorkflowInstanceCreated)
            {
                Open.Apply(happened);
            }
        }
    }

    /// <summary>A new generation knows nothing of the old one's answers.</summary>
    public void BeginAnew()
    {
        History = [];
        HistoryBytes = 0;
        Open = new OpenWork();
        Activities.Clear();
        Remove([.. Inbox.Where(message => message.Generation is not null)]);
    }

    public bool Accept(Message message)
    {
        if ((message.Generation is { } generation && generation != Record.Generation) || !Open.Apply(message.Event))
        {
            message.IsOver = true;
            Leftover.Add(message);
            return false;
        }

        Inbox.Add(message);
        InboxBytes += message.Size;
        return true;
    }

    /// <summary>Mail can be read twice; a message counts once.</summary>
    public bool AcceptForeign(Message message) => foreignSeen.Add(message.Id) && Accept(message);

    public bool Wants(Message message) =>
        !Record.IsTerminal && (message.Generation is null || message.Generation == Record.Generation) && Open.Wants(message.Event);

    public void Remove(IEnumerable<Message> taken)
    {
        foreach (var message in taken)
        {
            message.IsOver = true;
            if (Inbox.Remove(message))
            {
                InboxBytes -= message.Size;
            }
        }
    }

    public void FireDue(DateTimeOffset now)
    {
        foreach (var timer in Open.Timers.Where(timer => OpenWork.FireAt(timer) <= now).OrderBy(OpenWork.FireAt).ToList())
        {
            Fire(timer, now);
        }
    }

    public void Fire(HistoryEvent timer, DateTimeOffset now)
    {
        var fired = Wire.NewEvent(now);
        fired.TimerFired = new TimerFiredEvent { FireAt = timer.TimerCreated.FireAt, TimerId = timer.EventId };
        // Never stored: the timer itself is in the history, and is due again for whoever reads that.
        Accept(new Message(fired, Record.Generation));
    }
}
