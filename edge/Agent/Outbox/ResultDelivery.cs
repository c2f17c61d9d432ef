using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Agent.Relay;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Units;
using RenderTrust.EdgeProtocol;
using RenderTrust.Telemetry;
using Failpoint = RenderTrust.Contracts.Failpoint;

namespace RenderTrust.Agent.Outbox;

/// <summary>
/// Sends stored results over one session, oldest first: a result's blobs, then its frame. A new session starts again with
/// everything that was not acknowledged; the hub tells repeats apart by attempt and fencing token. A result whose blobs cannot be
/// uploaded now waits for itself: those behind it go on.
/// </summary>
internal sealed partial class ResultDelivery(
    ResultOutbox outbox, BlobClient blobs, IOptions<AgentOptions> options, TimeProvider time, ILogger<ResultDelivery> logger)
{
    public async Task RunAsync(HubSession session, CancellationToken cancellationToken)
    {
        using var signal = new SemaphoreSlim(0);
        void Wake() => signal.Release();
        outbox.Added += Wake;
        try
        {
            var waiting = new Dictionary<long, Waiting>();
            while (true)
            {
                foreach (var entry in outbox.Entries.Where(entry => !waiting.TryGetValue(entry.Sequence, out var until) || IsDue(until)))
                {
                    var failures = waiting.GetValueOrDefault(entry.Sequence)?.Failures ?? 0;
                    waiting[entry.Sequence] = await TrySendAsync(session, entry, cancellationToken)
                        ? new Waiting(time.GetTimestamp(), Resend, 0)
                        : new Waiting(time.GetTimestamp(), WaitAfter(failures + 1), failures + 1);
                }

                // The bound is for results whose acknowledgement never came on a stream that lives, and for uploads that failed.
                var next = outbox.Entries.Select(entry => waiting.TryGetValue(entry.Sequence, out var until) ? Left(until) : TimeSpan.Zero).Append(Resend).Min();
                await signal.WaitAsync(next, cancellationToken);
            }
        }
        finally
        {
            outbox.Added -= Wake;
        }
    }

    /// <summary>Attempts whose results wait here: done, and still ours until the hub has heard of them.</summary>
    public IEnumerable<string> Undelivered => outbox.Entries.Select(entry => entry.Result.AttemptId);

    public void Acknowledge(ResultAck ack)
    {
        Failpoint.Hit("agent.result.beforeForget");
        if (outbox.Remove(ack.AttemptId, ack.FencingToken))
        {
            LogAcknowledged(ack.AttemptId, ack.Outcome);
        }
    }

    private TimeSpan Resend => TimeSpan.FromSeconds(options.Value.ResultResendSeconds);

    /// <summary>Doubled from a second; never longer than a result waits for its acknowledgement.</summary>
    private TimeSpan WaitAfter(int failures)
    {
        var wait = TimeSpan.FromSeconds(1 << Math.Min(failures - 1, 10));
        return wait < Resend ? wait : Resend;
    }

    private bool IsDue(Waiting until) => Left(until) <= TimeSpan.Zero;

    private TimeSpan Left(Waiting until)
    {
        var left = until.For - time.GetElapsedTime(until.Since);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>False when the blobs could not be uploaded now, whether the hub or this machine's disk is why.</summary>
    private async Task<bool> TrySendAsync(HubSession session, OutboxEntry entry, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(session, entry, cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException && !cancellationToken.IsCancellationRequested)
        {
            LogUploadFailed(entry.Result.AttemptId, exception.Message);
            return false;
        }
    }

    private async Task SendAsync(HubSession session, OutboxEntry entry, CancellationToken cancellationToken)
    {
        var result = entry.Result;
        try
        {
            var pending = entry.PendingBlobs.ToList();
            result = pending.Count > 0 ? result.Clone() : result;
            using var uploading = pending.Count > 0 ? UnitTrace.Upload(result).Set(TelemetryNames.Count, pending.Count) : null;
            foreach (var output in pending)
            {
                var file = entry.BlobFile(output.BlobSha256);
                await blobs.UploadAsync(output.BlobSha256, file, entry.BlobToken, cancellationToken);
                Failpoint.Hit("agent.upload.afterBlob");
                File.Delete(file);
            }
        }
        catch (BlobRefusedException exception)
        {
            // The hub takes them never: the lease is over for it, or they are too large. Saying so lets it settle the attempt; claiming outputs that it cannot have would not.
            LogUploadRefused(result.AttemptId, exception.Message);
            result = WithoutOutputs(result, exception.Message);
        }

        session.Send(new NodeFrame { Result = result });
    }

    private static UnitResult WithoutOutputs(UnitResult result, string refusal)
    {
        var reduced = result.Clone();
        reduced.Outputs.Clear();
        if (reduced.Succeeded)
        {
            reduced.Succeeded = false;
            reduced.FailureClass = FailureClass.Internal.ToWire();
            reduced.FailureReason = $"The unit succeeded, but the hub did not take its outputs: the lease had ended, or they are too large. {refusal}";
        }

        return reduced;
    }

    [LoggerMessage(LogLevel.Information, "The result of attempt {AttemptId} was delivered: {Outcome}")]
    private partial void LogAcknowledged(string attemptId, string outcome);

    /// <summary>Since when and for how long an entry is left alone, and how often in a row its upload failed.</summary>
    private sealed record Waiting(long Since, TimeSpan For, int Failures);

    [LoggerMessage(LogLevel.Warning, "Outputs of attempt {AttemptId} could not be uploaded and are tried again later: {Reason}")]
    private partial void LogUploadFailed(string attemptId, string reason);

    [LoggerMessage(LogLevel.Warning, "Outputs of attempt {AttemptId} were refused: {Reason}")]
    private partial void LogUploadRefused(string attemptId, string reason);
}
