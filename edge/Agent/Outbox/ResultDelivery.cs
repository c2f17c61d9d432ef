using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Agent.Relay;
using RenderTrust.Agent.Running;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Outbox;

/// <summary>
/// Sends stored results over one session, oldest first: a result's blobs, then its frame. A new session starts again with
/// everything that was not acknowledged; the hub tells repeats apart by attempt and fencing token.
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
            var sentAt = new Dictionary<long, long>();
            while (true)
            {
                foreach (var entry in outbox.Entries.Where(entry => IsDue(entry.Sequence, sentAt)))
                {
                    await SendAsync(session, entry, cancellationToken);
                    sentAt[entry.Sequence] = time.GetTimestamp();
                }

                // The bound is for results whose acknowledgement never came on a stream that lives.
                await signal.WaitAsync(TimeSpan.FromSeconds(options.Value.ResultResendSeconds), cancellationToken);
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
        if (outbox.Remove(ack.AttemptId, ack.FencingToken))
        {
            LogAcknowledged(ack.AttemptId, ack.Outcome);
        }
    }

    private bool IsDue(long sequence, Dictionary<long, long> sentAt) =>
        !sentAt.TryGetValue(sequence, out var sent) || time.GetElapsedTime(sent) >= TimeSpan.FromSeconds(options.Value.ResultResendSeconds);

    private async Task SendAsync(HubSession session, OutboxEntry entry, CancellationToken cancellationToken)
    {
        var result = entry.Result;
        try
        {
            foreach (var output in entry.PendingBlobs)
            {
                var file = entry.BlobFile(output.BlobSha256);
                await blobs.UploadAsync(output.BlobSha256, file, entry.BlobToken, cancellationToken);
                File.Delete(file);
            }
        }
        catch (BlobRefusedException exception)
        {
            // The lease is over for the hub. Saying so lets it settle the attempt; claiming outputs that it cannot have would not.
            LogUploadRefused(result.AttemptId, exception.Message);
            result = WithoutOutputs(result);
        }

        session.Send(new NodeFrame { Result = result });
    }

    private static UnitResult WithoutOutputs(UnitResult result)
    {
        var reduced = result.Clone();
        reduced.Outputs.Clear();
        if (reduced.Succeeded)
        {
            reduced.Succeeded = false;
            reduced.FailureClass = FailureClass.Internal.ToWire();
            reduced.FailureReason = "The unit succeeded, but the hub no longer took its outputs: the lease had ended before they could be uploaded.";
        }

        return reduced;
    }

    [LoggerMessage(LogLevel.Information, "The result of attempt {AttemptId} was delivered: {Outcome}")]
    private partial void LogAcknowledged(string attemptId, string outcome);

    [LoggerMessage(LogLevel.Warning, "Outputs of attempt {AttemptId} were refused: {Reason}")]
    private partial void LogUploadRefused(string attemptId, string reason);
}
