using RenderTrust.Sidecar.Hosts;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>What goes on beside the turns: timers, taking up instances that nobody runs, mail from other hosts, letting go of idle ones.</summary>
internal sealed partial class WorkflowEngine
{
    private const int ClaimMax = 100;
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan DesertedLimit = TimeSpan.FromSeconds(10);

    private readonly TimerQueue timers = new();
    private readonly SemaphoreSlim poke = new(0);
    private readonly Dictionary<Guid, long> mailFor = [];

    /// <summary>Something may be waiting in the database: look before the next poll.</summary>
    public void Poke()
    {
        if (poke.CurrentCount == 0)
        {
            poke.Release();
        }
    }

    private async Task TendLoopAsync(HostSession host, CancellationToken cancellationToken)
    {
        while (true)
        {
            var wait = await TendAsync(host, cancellationToken);
            await poke.WaitAsync(wait, cancellationToken);
        }
    }

    private async Task<TimeSpan> TendAsync(HostSession host, CancellationToken cancellationToken)
    {
        var tookOver = await store.TakeOverAsync(host.HostId, cancellationToken);
        if (tookOver > 0)
        {
            LogTookOver(logger, tookOver);
        }

        string[] served;
        lock (gate)
        {
            LetGo();
            served = [.. queues.Values.Where(queue => queue.Streams.Count > 0).Select(queue => queue.AppId)];
        }

        var claimed = new List<InstanceRecord>();
        var mail = new List<Guid>();
        Step[] steps = served.Length == 0
            ? [store.TakeMail(host.HostId, mail)]
            : [store.TakeMail(host.HostId, mail), store.Claim(host.HostId, served, time.GetUtcNow(), ClaimMax, claimed)];
        await host.RunAsync(steps, cancellationToken);
        if (claimed.Count > 0)
        {
            TakeUp(await store.LoadAsync(claimed, cancellationToken));
        }

        await ReadMailAsync(mail, cancellationToken);
        if (claimed.Count == ClaimMax)
        {
            return TimeSpan.Zero;
        }

        var next = served.Length == 0 ? null : await store.NextWakeAsync(served, cancellationToken) - time.GetUtcNow();
        return next is not { } soon || soon > PollInterval ? PollInterval : soon < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : soon;
    }

    private void TakeUp(IReadOnlyList<StoredInstance> loaded)
    {
        lock (gate)
        {
            foreach (var stored in loaded)
            {
                var instance = Take(stored.Record);
                instance.Restore(stored);
                foreach (var happened in instance.History)
                {
                    Undertake(instance, happened);
                }

                AnswerUnreachable(instance);
                Continue(instance);
                ReleaseIfDone(instance);
            }
        }
    }

    // An app may have left dapr.yaml since its task was scheduled.
    private void AnswerUnreachable(LiveInstance instance)
    {
        foreach (var task in instance.Open.Tasks.Where(task => task.Router is { HasTargetAppID: true } router && !queues.ContainsKey(router.TargetAppID)).ToList())
        {
            var failed = Wire.NewEvent(time.GetUtcNow());
            failed.TaskFailed = new TaskFailedEvent
            {
                TaskScheduledId = task.EventId, TaskExecutionId = task.TaskScheduled.TaskExecutionId,
                FailureDetails = TurnRules.Failure(TurnRules.NoSuchApp, $"App '{task.Router.TargetAppID}' is no longer served by this sidecar host. Put it back into dapr.yaml."),
            };
            if (instance.Record.IsTerminal)
            {
                instance.Open.Apply(failed);
            }
            else
            {
                instance.Accept(new Message(failed, instance.Record.Generation));
            }
        }
    }

    private async Task ReadMailAsync(List<Guid> mail, CancellationToken cancellationToken)
    {
        foreach (var key in mail)
        {
            mailFor[key] = time.GetTimestamp();
        }

        if (mailFor.Count == 0)
        {
            return;
        }

        var messages = await store.ReadForeignAsync(mailFor.Keys, cancellationToken);
        lock (gate)
        {
            foreach (var (key, message) in messages)
            {
                if (byKey.GetValueOrDefault(key) is { } instance && !instance.Record.IsTerminal)
                {
                    instance.AcceptForeign(message);
                }
            }

            foreach (var (key, since) in mailFor.ToList())
            {
                // One that is ours but not in memory was inserted a moment ago, or has ended; it is looked for a few times more.
                if (byKey.GetValueOrDefault(key) is { } instance)
                {
                    mailFor.Remove(key);
                    Continue(instance);
                }
                else if (time.GetElapsedTime(since) > store.Schema.Session.Lease)
                {
                    mailFor.Remove(key);
                }
            }
        }
    }

    private void LetGo()
    {
        var idle = live.Values.Where(instance =>
            instance.Turn is not { IsAnswered: true }
            && ((instance.IsIdle && time.GetElapsedTime(instance.UsedAt) > IdleLimit)
                || (instance.Queue.Streams.Count == 0 && time.GetElapsedTime(instance.Queue.DesertedAt) > DesertedLimit))).Take(1000).ToList();
        if (idle.Count > 0)
        {
            Enqueue(new ReleaseUnit(this, idle));
        }
    }

    private async Task FireTimersLoopAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            TimeSpan wait;
            Task changed;
            lock (gate)
            {
                timers.Rearm();
                changed = timers.Changed;
                FireDue();
                wait = timers.Next - time.GetUtcNow() ?? Timeout.InfiniteTimeSpan;
            }

            // A day at most: a longer wait than that is more than a timer takes.
            wait = wait > TimeSpan.FromDays(1) ? TimeSpan.FromDays(1) : wait < TimeSpan.Zero && wait != Timeout.InfiniteTimeSpan ? TimeSpan.Zero : wait;
            await changed.WaitAsync(wait, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private void FireDue()
    {
        var now = time.GetUtcNow();
        while (timers.TakeDue(now) is { } entry)
        {
            var instance = entry.Instance;
            if (instance.IsGone || instance.Record.Generation != entry.Generation || instance.Record.IsTerminal)
            {
                continue;
            }

            if (entry.TimerId is { } id && instance.Open.Timer(id) is { } timer)
            {
                instance.Fire(timer, now);
            }

            Continue(instance);
        }
    }

    [LoggerMessage(LogLevel.Information, "The workflows of {Hosts} hosts that are gone are taken over")]
    private static partial void LogTookOver(ILogger logger, int hosts);
}
