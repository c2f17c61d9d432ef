using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using RenderTrust.Agent.Outbox;
using RenderTrust.Agent.Units;
using RenderTrust.EdgeProtocol;
using Failpoint = RenderTrust.Contracts.Failpoint;

namespace RenderTrust.Agent.Relay;

/// <summary>
/// One stream to the hub, from hello to its end:
/// 1. hello with capabilities and running attempts; 2. welcome with the epoch, and what is no longer live is stopped;
/// 3. offers are acknowledged before anything else is done with them; 4. revocations are answered when the attempt is dead;
/// 5. heartbeats, whose echoes show that the hub still reads; 6. results from the outbox, beside it.
/// All frames go out through one queue, because a gRPC stream takes one writer.
/// </summary>
internal sealed partial class HubSession(
    AsyncDuplexStreamingCall<NodeFrame, HubFrame> call, AttemptTable attempts, ResultDelivery delivery,
    TimeSpan defaultHeartbeat, TimeProvider time, ILogger<HubSession> logger) : IDisposable
{
    private static readonly TimeSpan WelcomeLimit = TimeSpan.FromSeconds(15);
    private const int SilentHeartbeatsMax = 4;

    private readonly Channel<NodeFrame> _outgoing = Channel.CreateUnbounded<NodeFrame>(new UnboundedChannelOptions { SingleReader = true });
    private long _lastHeard = time.GetTimestamp();
    private double _roundTripMs;

    public long Epoch { get; private set; }

    public bool Send(NodeFrame frame) => _outgoing.Writer.TryWrite(frame);

    /// <summary>Says hello and waits for the welcome.</summary>
    public async Task OpenAsync(Capabilities capabilities, CancellationToken cancellationToken)
    {
        var hello = new Hello { Capabilities = capabilities };
        // With those that ended while nobody listened: their results may take long to upload, and must not be taken for lost meanwhile.
        // Running ones first, or one that ends in between would be in neither list.
        hello.RunningAttemptIds.Add(attempts.Running);
        hello.RunningAttemptIds.Add(delivery.Undelivered.Except(hello.RunningAttemptIds).ToList());
        await call.RequestStream.WriteAsync(new NodeFrame { Hello = hello }, cancellationToken);

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(WelcomeLimit);
        if (!await call.ResponseStream.MoveNext(limit.Token) || call.ResponseStream.Current.Welcome is not { } welcome)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, "the hub's first frame was not a welcome"));
        }

        Epoch = welcome.Epoch;
        Heartbeat = welcome.HeartbeatIntervalMs > 0 ? TimeSpan.FromMilliseconds(welcome.HeartbeatIntervalMs) : defaultHeartbeat;
        _lastHeard = time.GetTimestamp();
        await attempts.KeepOnlyAsync([.. welcome.LiveAttemptIds]);
    }

    private TimeSpan Heartbeat { get; set; }

    /// <summary>Runs until the stream ends or goes silent; throws what ended it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] parts = [ReadAsync(stop.Token), WriteAsync(stop.Token), BeatAsync(stop.Token)];
        try
        {
            await await Task.WhenAny(parts);
        }
        finally
        {
            _outgoing.Writer.TryComplete();
            await stop.CancelAsync();
            call.Dispose();
            await Task.WhenAll(parts).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    public void Dispose() => call.Dispose();

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (await call.ResponseStream.MoveNext(cancellationToken))
        {
            _lastHeard = time.GetTimestamp();
            var frame = call.ResponseStream.Current;
            switch (frame.FrameCase)
            {
                case HubFrame.FrameOneofCase.Offer:
                    Acknowledge(frame.Offer);
                    break;
                case HubFrame.FrameOneofCase.Revoke:
                    // Killing may take a second; the stream must be read meanwhile.
                    _ = RevokeAsync(frame.Revoke);
                    break;
                case HubFrame.FrameOneofCase.ResultAck:
                    delivery.Acknowledge(frame.ResultAck);
                    break;
                case HubFrame.FrameOneofCase.HeartbeatEcho:
                    _roundTripMs = Math.Max(0, time.GetUtcNow().ToUnixTimeMilliseconds() - frame.HeartbeatEcho.SentUnixMs);
                    break;
                default:
                    // A newer hub may know more frames than this agent.
                    break;
            }
        }
    }

    private void Acknowledge(LeaseOffer offer)
    {
        var decision = attempts.Offer(offer);
        Failpoint.Hit("agent.offer.beforeAcknowledgement");
        Send(new NodeFrame
        {
            LeaseAck = new LeaseAck { AttemptId = offer.AttemptId, FencingToken = offer.FencingToken, Accepted = decision.Accepted, Reason = decision.Reason ?? "" },
        });
        LogOffer(offer.AttemptId, offer.JobId, offer.UnitIndex, decision.Accepted ? "accepted" : "refused", decision.Reason ?? "");
    }

    private async Task RevokeAsync(LeaseRevoke revoke)
    {
        var stopped = await attempts.StopAsync(revoke.AttemptId, revoke.FencingToken);
        Failpoint.Hit("agent.revoke.afterStop");
        Send(new NodeFrame { RevokeAck = new RevokeAck { AttemptId = revoke.AttemptId, Stopped = stopped } });
        LogRevoked(revoke.AttemptId, stopped, revoke.Reason);
    }

    private async Task WriteAsync(CancellationToken cancellationToken)
    {
        await foreach (var frame in _outgoing.Reader.ReadAllAsync(cancellationToken))
        {
            await call.RequestStream.WriteAsync(frame, cancellationToken);
        }
    }

    private async Task BeatAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Send(new NodeFrame
            {
                Heartbeat = new Heartbeat { Epoch = Epoch, SentUnixMs = time.GetUtcNow().ToUnixTimeMilliseconds(), BusySlots = attempts.BusySlots, LastRoundTripMs = _roundTripMs },
            });
            await Task.Delay(Heartbeat, time, cancellationToken);
            if (time.GetElapsedTime(_lastHeard) > Heartbeat * SilentHeartbeatsMax)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, $"the hub was silent for {SilentHeartbeatsMax} heartbeats"));
            }
        }
    }

    [LoggerMessage(LogLevel.Information, "Attempt {AttemptId} of job {JobId}, unit {UnitIndex}: lease {Decision} {Reason}")]
    private partial void LogOffer(string attemptId, string jobId, int unitIndex, string decision, string reason);

    [LoggerMessage(LogLevel.Information, "Attempt {AttemptId} was revoked (stopped here: {Stopped}): {Reason}")]
    private partial void LogRevoked(string attemptId, bool stopped, string reason);
}
