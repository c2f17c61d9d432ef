using RenderTrust.Agent.Outbox;
using RenderTrust.Agent.Relay;
using RenderTrust.Agent.Units;

namespace RenderTrust.Agent.Hosting;

/// <summary>Why a node ends.</summary>
internal enum NodeEnd
{
    Asked,
    Idle,
    NeverConnected,
}

/// <summary>
/// Decides when a node that was started on demand has nothing left to do: it runs nothing, every result was acknowledged, and it has been so for a
/// while. From the decision on it takes no offers, so that none falls into the gap between it and the end of the stream.
/// </summary>
internal sealed class IdleEnd(AttemptTable attempts, ResultOutbox outbox, HubLink link, AgentOptions options, TimeProvider time)
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(250);

    public async Task<NodeEnd> WaitAsync(CancellationToken cancellationToken)
    {
        var idle = TimeSpan.FromSeconds(options.IdleSeconds);
        var started = time.GetTimestamp();
        try
        {
            while (true)
            {
                await Task.Delay(idle == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : LookInterval, time, cancellationToken);
                if (link.SinceFirstSession is not { } connected)
                {
                    if (time.GetElapsedTime(started) >= TimeSpan.FromSeconds(options.FirstSessionSeconds))
                    {
                        return NodeEnd.NeverConnected;
                    }
                }
                else if (connected >= idle && outbox.Entries.Count == 0 && attempts.TryCloseIdle(idle))
                {
                    return NodeEnd.Idle;
                }
            }
        }
        catch (OperationCanceledException)
        {
            return NodeEnd.Asked;
        }
    }
}
