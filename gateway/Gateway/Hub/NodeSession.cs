using System.Collections.Concurrent;
using System.Threading.Channels;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Gateway.Hub;

/// <summary>A result frame and when it came: the start of the return budget.</summary>
internal sealed record ArrivedResult(AttemptId Attempt, UnitResult Result, DateTimeOffset ReceivedAt);

/// <summary>One open stream of one node. Frames to the node wait in a bounded queue, so a slow node only holds up itself.</summary>
internal sealed class NodeSession : IDisposable
{
    private const int MaxWaitingResults = 256;
    private readonly Channel<HubFrame> outgoing;
    private readonly ConcurrentDictionary<(AttemptId Attempt, long Token), TaskCompletionSource<LeaseAck>> offers = new();
    private readonly ConcurrentDictionary<AttemptId, TaskCompletionSource> revocations = new();
    private readonly ConcurrentDictionary<AttemptId, (TenantId Creator, AttemptTrace? Trace)> held = new();
    private readonly CancellationTokenSource ended = new();
    private readonly Channel<ArrivedResult> results = Channel.CreateBounded<ArrivedResult>(new BoundedChannelOptions(MaxWaitingResults) { SingleReader = true, SingleWriter = true });

    public NodeSession(NodeIdentity node, int outgoingFrames)
    {
        Node = node;
        Ended = ended.Token;
        outgoing = Channel.CreateBounded<HubFrame>(new BoundedChannelOptions(outgoingFrames) { SingleReader = true });
    }

    public NodeIdentity Node { get; }

    /// <summary>0 until the scheduler has opened the session.</summary>
    public long Epoch { get; set; }

    /// <summary>How many attempts the node runs at once, as its hello said.</summary>
    public int Slots { get; set; }

    /// <summary>Why the hub ended it; null while it lives or when the node went by itself.</summary>
    public string? EndReason { get; private set; }

    /// <summary>Taken once: it may be asked for after the session was disposed of.</summary>
    public CancellationToken Ended { get; }

    /// <summary>False with a scheduler that does not say whose the attempts of earlier sessions are: outputs of those go unchecked.</summary>
    public bool KnowsEarlierAttempts { get; private set; }

    public ChannelReader<HubFrame> Outgoing => outgoing.Reader;

    /// <summary>Results on their way to the scheduler, beside the stream: while one waits, acknowledgements and heartbeats are read on.</summary>
    public ChannelReader<ArrivedResult> Results => results.Reader;

    /// <summary>False when too many wait already; without an acknowledgement the agent sends it again.</summary>
    public bool TryTakeResult(ArrivedResult result) => results.Writer.TryWrite(result);

    /// <summary>What the node held already when the stream opened.</summary>
    public void Resume(IReadOnlyList<LiveAttempt>? live)
    {
        KnowsEarlierAttempts = live is not null;
        foreach (var attempt in live ?? [])
        {
            held[attempt.AttemptId] = (attempt.TenantId, HubTraces.Of(attempt));
        }
    }

    /// <summary>Whose unit the attempt computes; null when it was not leased to the node, or is settled.</summary>
    public TenantId? CreatorOf(AttemptId attempt) => held.TryGetValue(attempt, out var known) ? known.Creator : null;

    /// <summary>Which trace the attempt belongs to; null when it is not traced, or not held here.</summary>
    public AttemptTrace? TraceOf(AttemptId attempt) => held.TryGetValue(attempt, out var known) ? known.Trace : null;

    public void Leased(AttemptId attempt, TenantId creator, AttemptTrace? trace = null) => held[attempt] = (creator, trace);

    /// <summary>Nothing more is expected of the attempt.</summary>
    public void Settled(AttemptId attempt) => held.TryRemove(attempt, out _);

    public void Dispose()
    {
        ended.Dispose();
        foreach (var waiting in offers.Values)
        {
            waiting.TrySetCanceled();
        }
    }

    /// <summary>Ends the stream; safe to call again and from anywhere.</summary>
    public void End(string reason)
    {
        EndReason ??= reason;
        outgoing.Writer.TryComplete();
        try
        {
            ended.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The stream has ended by itself in the meantime, which is what was asked for.
        }
    }

    /// <summary>False when the node reads too slowly to be sent anything; its stream is then ended and comes back clean.</summary>
    public bool TrySend(HubFrame frame)
    {
        if (outgoing.Writer.TryWrite(frame))
        {
            return true;
        }

        End("The node does not read its stream.");
        return false;
    }

    /// <summary>Sends an offer and waits for its acknowledgement: null when none came, and not even sent when the stream has ended.</summary>
    public async Task<(bool Sent, LeaseAck? Ack)> OfferAsync(AttemptId attempt, long fencingToken, HubFrame offer, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        var waiting = offers.GetOrAdd((attempt, fencingToken), _ => new TaskCompletionSource<LeaseAck>(TaskCreationOptions.RunContinuationsAsynchronously));
        try
        {
            if (!TrySend(offer))
            {
                return (false, null);
            }

            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, Ended);
            return (true, await waiting.Task.WaitAsync(limit, time, either.Token));
        }
        catch (Exception exception) when (exception is TimeoutException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return (true, null);
        }
        finally
        {
            offers.TryRemove((attempt, fencingToken), out _);
        }
    }

    /// <summary>Sends a revocation and waits until the node says that nothing of the attempt runs there. False when it did not say so in time; ask again.</summary>
    public async Task<bool> RevokeAsync(AttemptId attempt, HubFrame revocation, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        var waiting = revocations.GetOrAdd(attempt, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        try
        {
            if (!TrySend(revocation))
            {
                return false;
            }

            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, Ended);
            await waiting.Task.WaitAsync(limit, time, either.Token);
            return true;
        }
        catch (Exception exception) when (exception is TimeoutException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
        finally
        {
            revocations.TryRemove(attempt, out _);
        }
    }

    /// <summary>The node says that the attempt does not run there, any more or at all.</summary>
    public void ConfirmStopped(AttemptId attempt)
    {
        if (revocations.TryGetValue(attempt, out var waiting))
        {
            waiting.TrySetResult();
        }
    }

    /// <summary>An acknowledgement that nobody waits for any more is dropped: the scheduler verifies by itself.</summary>
    public void Acknowledge(AttemptId attempt, LeaseAck ack)
    {
        if (offers.TryGetValue((attempt, ack.FencingToken), out var waiting))
        {
            waiting.TrySetResult(ack);
        }
    }
}
