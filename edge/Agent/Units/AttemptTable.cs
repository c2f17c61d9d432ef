using Microsoft.Extensions.Logging;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Units;

/// <summary>Why an offer was refused; null when it was accepted.</summary>
internal sealed record OfferDecision(bool Accepted, string? Reason)
{
    public static OfferDecision Yes { get; } = new(true, null);
}

/// <summary>What runs on this node, by slot. Taking an offer costs a look at a dictionary: its acknowledgement is on the dispatch budget.</summary>
internal sealed partial class AttemptTable(
    int slots, Func<LeaseOffer, IProgress<double>, CancellationToken, Task> run, Action ended, Action<Progress> report, TimeProvider time, ILogger<AttemptTable> logger)
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Attempt> _attempts = [];
    private readonly long[] _highestToken = new long[slots];
    private long _lastChange = time.GetTimestamp();
    private bool _closed;

    public IReadOnlyList<string> Running
    {
        get
        {
            lock (_lock)
            {
                return [.. _attempts.Keys];
            }
        }
    }

    public int BusySlots
    {
        get
        {
            lock (_lock)
            {
                return _attempts.Count;
            }
        }
    }

    /// <summary>Takes no offers from now on if nothing has run for that long; false when there was something.</summary>
    public bool TryCloseIdle(TimeSpan idle)
    {
        lock (_lock)
        {
            if (_attempts.Count > 0 || time.GetElapsedTime(_lastChange) < idle)
            {
                return false;
            }

            _closed = true;
            return true;
        }
    }

    /// <summary>Decides at once and starts in the background. Repeating an accepted offer is accepted again and starts nothing.</summary>
    public OfferDecision Offer(LeaseOffer offer)
    {
        Attempt attempt;
        lock (_lock)
        {
            var decision = Decide(offer);
            if (!decision.Accepted || _attempts.ContainsKey(offer.AttemptId))
            {
                return decision;
            }

            _highestToken[offer.Slot] = offer.FencingToken;
            attempt = new Attempt(offer);
            _attempts.Add(offer.AttemptId, attempt);
            _lastChange = time.GetTimestamp();

            // Nothing of the work may run on the caller's thread: it still has the acknowledgement to write.
            attempt.Done = Task.Run(() => RunAsync(attempt));
        }

        return OfferDecision.Yes;
    }

    /// <summary>Stops an attempt and waits until nothing of it runs. False when this very lease was not running here.</summary>
    public async Task<bool> StopAsync(string attemptId, long fencingToken)
    {
        Attempt? attempt;
        lock (_lock)
        {
            // A revocation of an earlier lease must not stop a newer one.
            if (!_attempts.TryGetValue(attemptId, out attempt) || attempt.Offer.FencingToken != fencingToken)
            {
                return false;
            }
        }

        await attempt.StopAsync();
        return true;
    }

    /// <summary>Stops whatever the hub no longer counts as live.</summary>
    public async Task KeepOnlyAsync(IReadOnlyCollection<string> live)
    {
        Attempt[] others;
        lock (_lock)
        {
            others = [.. _attempts.Values.Where(attempt => !live.Contains(attempt.Offer.AttemptId))];
        }

        foreach (var attempt in others)
        {
            LogDropped(attempt.Offer.AttemptId);
        }

        await Task.WhenAll(others.Select(attempt => attempt.StopAsync()));
    }

    public async Task CloseAsync()
    {
        lock (_lock)
        {
            _closed = true;
        }

        await KeepOnlyAsync([]);
    }

    private OfferDecision Decide(LeaseOffer offer)
    {
        if (_closed)
        {
            return new OfferDecision(false, "The node is shutting down.");
        }

        // The ids become names of folders and containers here, whoever made them up.
        if (!Guid.TryParseExact(offer.AttemptId, "D", out _) || !Guid.TryParseExact(offer.JobId, "D", out _))
        {
            return new OfferDecision(false, "The lease's ids are not UUIDs.");
        }

        // An engine reads zero as no limit at all.
        if (offer.Runtime is not { MemoryMebibytes: > 0, MaxProcesses: > 0, OutputMebibytes: > 0, CpuCount: > 0 })
        {
            return new OfferDecision(false, "The lease leaves memory, processes, output or CPU without a limit, and this node runs no module like that.");
        }

        if (_attempts.TryGetValue(offer.AttemptId, out var same))
        {
            return same.Offer.FencingToken == offer.FencingToken
                ? OfferDecision.Yes
                : new OfferDecision(false, $"Attempt {offer.AttemptId} already runs under token {same.Offer.FencingToken}, not {offer.FencingToken}.");
        }

        if (offer.Slot < 0 || offer.Slot >= slots)
        {
            return new OfferDecision(false, $"This node has slots 0 to {slots - 1}, not {offer.Slot}.");
        }

        if (offer.FencingToken <= _highestToken[offer.Slot])
        {
            return new OfferDecision(false, $"Token {offer.FencingToken} is not newer than {_highestToken[offer.Slot]}, which slot {offer.Slot} had before.");
        }

        return _attempts.Values.FirstOrDefault(attempt => attempt.Offer.Slot == offer.Slot) is { } busy
            ? new OfferDecision(false, $"Slot {offer.Slot} still runs attempt {busy.Offer.AttemptId}.")
            : OfferDecision.Yes;
    }

    private async Task RunAsync(Attempt attempt)
    {
        var progress = new ThrottledProgress(attempt.Offer, report, time);
        try
        {
            await run(attempt.Offer, progress, attempt.Stopped.Token);
        }
        catch (OperationCanceledException)
        {
            LogStopped(attempt.Offer.AttemptId);
        }
        catch (Exception exception)
        {
            // The work stores every failure as a result; what comes here could not even be stored (a full disk).
            LogLost(attempt.Offer.AttemptId, exception.GetType().FullName ?? "exception");
        }
        finally
        {
            lock (_lock)
            {
                _attempts.Remove(attempt.Offer.AttemptId);
                _lastChange = time.GetTimestamp();
            }

            ended();
        }
    }

    [LoggerMessage(LogLevel.Information, "Attempt {AttemptId} was stopped: its lease is no longer ours")]
    private partial void LogStopped(string attemptId);

    [LoggerMessage(LogLevel.Warning, "Attempt {AttemptId} is not live for the hub any more and is stopped")]
    private partial void LogDropped(string attemptId);

    [LoggerMessage(LogLevel.Error, "The result of attempt {AttemptId} could not be stored ({ExceptionType}); check the disk of the state folder")]
    private partial void LogLost(string attemptId, string exceptionType);

    private sealed class Attempt(LeaseOffer offer)
    {
        public LeaseOffer Offer { get; } = offer;

        public CancellationTokenSource Stopped { get; } = new();

        public Task Done { get; set; } = Task.CompletedTask;

        public async Task StopAsync()
        {
            await Stopped.CancelAsync();
            await Done;
        }
    }

    /// <summary>At most four reports a second: progress is for people's eyes and losing some is harmless.</summary>
    private sealed class ThrottledProgress(LeaseOffer offer, Action<Progress> report, TimeProvider time) : IProgress<double>
    {
        private readonly Lock _lock = new();
        private long _last;

        public void Report(double value)
        {
            lock (_lock)
            {
                if (_last != 0 && time.GetElapsedTime(_last) < ProgressInterval)
                {
                    return;
                }

                _last = time.GetTimestamp();
            }

            report(new Progress { AttemptId = offer.AttemptId, FencingToken = offer.FencingToken, Fraction = value });
        }
    }
}
