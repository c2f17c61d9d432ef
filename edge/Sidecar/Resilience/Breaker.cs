using System.Text.Json;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Resilience;

/// <summary>What a breaker's <c>trip</c> may compare.</summary>
internal record struct BreakerCounts(long Requests, long TotalSuccesses, long TotalFailures, long ConsecutiveSuccesses, long ConsecutiveFailures)
{
    public static readonly IReadOnlyList<string> Names = ["requests", "totalSuccesses", "totalFailures", "consecutiveSuccesses", "consecutiveFailures"];

    public readonly JsonElement ToElement() => JsonSerializer.SerializeToElement(this, JsonSerializerOptions.Web);

    public BreakerCounts With(bool success) => success
        ? this with { TotalSuccesses = TotalSuccesses + 1, ConsecutiveSuccesses = ConsecutiveSuccesses + 1, ConsecutiveFailures = 0 }
        : this with { TotalFailures = TotalFailures + 1, ConsecutiveFailures = ConsecutiveFailures + 1, ConsecutiveSuccesses = 0 };
}

/// <summary>
/// A circuit breaker that trips on a rule over counts, as Resiliency files write them; the usual ratio breakers cannot say "five in a row".
/// Closed, it counts; open, it refuses; half-open, it lets a few calls through and closes when all of them succeed.
/// </summary>
internal sealed class Breaker(BreakerDefinition definition, TimeProvider time)
{
    private enum State
    {
        Closed = 0,
        HalfOpen = 1,
        Open = 2,
    }

    private readonly Lock gate = new();
    private State state = State.Closed;
    private BreakerCounts counts;
    private long since = time.GetTimestamp();

    // Grows with each change of state and each new interval: a call that began before it must not count after it.
    private long generation;

    public bool TryEnter(out long ticket)
    {
        lock (gate)
        {
            MoveOn_NeedsLock();
            ticket = generation;
            if (state == State.Open || (state == State.HalfOpen && counts.Requests >= definition.HalfOpenRequests))
            {
                return false;
            }

            counts = counts with { Requests = counts.Requests + 1 };
            return true;
        }
    }

    /// <param name="ticket">Of the entry.</param>
    /// <param name="success">Null when the caller went away: it tells nothing.</param>
    public void Leave(long ticket, bool? success)
    {
        lock (gate)
        {
            MoveOn_NeedsLock();
            if (ticket != generation)
            {
                return;
            }

            if (success is not { } told)
            {
                counts = counts with { Requests = counts.Requests - 1 };
                return;
            }

            counts = counts.With(told);
            if (state == State.HalfOpen)
            {
                if (!told || counts.ConsecutiveSuccesses >= definition.HalfOpenRequests)
                {
                    Become_NeedsLock(told ? State.Closed : State.Open);
                }
            }
            else if (!told && definition.Trip.Matches(counts.ToElement()))
            {
                Become_NeedsLock(State.Open);
            }
        }
    }

    private void MoveOn_NeedsLock()
    {
        var elapsed = time.GetElapsedTime(since);
        if (state == State.Open && elapsed >= definition.OpenFor)
        {
            Become_NeedsLock(State.HalfOpen);
        }
        else if (state == State.Closed && definition.CountInterval > TimeSpan.Zero && elapsed >= definition.CountInterval)
        {
            Become_NeedsLock(State.Closed);
        }
    }

    private void Become_NeedsLock(State next)
    {
        state = next;
        counts = default;
        since = time.GetTimestamp();
        generation++;
    }
}
