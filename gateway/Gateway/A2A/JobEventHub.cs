using System.Collections.Concurrent;
using System.Threading.Channels;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.A2A;

/// <summary>Hands the events of the tail to the streams that follow their task. A slow stream never holds up the tail or another stream.</summary>
internal sealed class JobEventHub
{
    private readonly ConcurrentDictionary<TaskId, Subscription[]> _subscriptions = new();
    private readonly Lock _changing = new();

    public Subscription Subscribe(TaskId taskId, int backlogEvents)
    {
        var subscription = new Subscription(this, taskId, backlogEvents);
        lock (_changing)
        {
            _subscriptions[taskId] = [.. _subscriptions.GetValueOrDefault(taskId, []), subscription];
        }

        return subscription;
    }

    public void Publish(JobEvent jobEvent)
    {
        foreach (var subscription in _subscriptions.GetValueOrDefault(jobEvent.TaskId, []))
        {
            subscription.Offer(jobEvent);
        }
    }

    /// <summary>Events may have been missed: every stream reads its task's log again.</summary>
    public void Resync()
    {
        foreach (var subscription in _subscriptions.Values.SelectMany(s => s))
        {
            subscription.Resync();
        }
    }

    /// <summary>No news can be had: every stream ends with this fault.</summary>
    public void Fail(Exception fault)
    {
        foreach (var subscription in _subscriptions.Values.SelectMany(s => s))
        {
            subscription.Fail(fault);
        }
    }

    private void Remove(Subscription subscription)
    {
        lock (_changing)
        {
            Subscription[] left = [.. _subscriptions.GetValueOrDefault(subscription.TaskId, []).Where(other => other != subscription)];
            if (left.Length == 0)
            {
                _subscriptions.TryRemove(subscription.TaskId, out _);
            }
            else
            {
                _subscriptions[subscription.TaskId] = left;
            }
        }
    }

    /// <summary>What one stream hears. A null event says: read the log again.</summary>
    internal sealed class Subscription(JobEventHub hub, TaskId taskId, int backlogEvents) : IDisposable
    {
        private readonly Channel<JobEvent?> _events = Channel.CreateBounded<JobEvent?>(new BoundedChannelOptions(backlogEvents) { SingleReader = true });

        // The mark outlives a full channel: the reader looks at it before it believes the next event.
        private int _hasMissed;

        public TaskId TaskId { get; } = taskId;

        /// <summary>The next event. Null after a silence of <paramref name="silence"/> too: whatever may have gone wrong, the log is right.</summary>
        public async ValueTask<JobEvent?> NextAsync(TimeSpan silence, TimeProvider time, CancellationToken cancellationToken)
        {
            if (!_events.Reader.TryRead(out var next))
            {
                using var quiet = new CancellationTokenSource(silence, time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(quiet.Token, cancellationToken);
                try
                {
                    next = await _events.Reader.ReadAsync(either.Token);
                }
                catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
                {
                    return null;
                }
            }

            return Interlocked.Exchange(ref _hasMissed, 0) == 1 ? null : next;
        }

        public void Offer(JobEvent jobEvent)
        {
            if (!_events.Writer.TryWrite(jobEvent))
            {
                Interlocked.Exchange(ref _hasMissed, 1);
            }
        }

        public void Resync()
        {
            Interlocked.Exchange(ref _hasMissed, 1);
            _events.Writer.TryWrite(null);
        }

        public void Fail(Exception fault) => _events.Writer.TryComplete(fault);

        public void Dispose() => hub.Remove(this);
    }
}
