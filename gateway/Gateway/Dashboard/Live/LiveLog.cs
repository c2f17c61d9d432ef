using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Dashboard.Live;

/// <summary>A place in this replica's memory of the job log. Written <c>epoch.position</c>; opaque to browsers, which send it back as Last-Event-ID.</summary>
internal readonly record struct LivePlace(string Epoch, long Position)
{
    public static bool TryParse(string? text, out LivePlace place)
    {
        place = default;
        var dot = text?.IndexOf('.', StringComparison.Ordinal) ?? -1;
        if (dot <= 0 || !long.TryParse(text.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var position))
        {
            return false;
        }

        place = new LivePlace(text![..dot], position);
        return true;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Epoch}.{Position}");
}

/// <param name="IsLost">What came after the reader's place is not remembered any more: it has to begin anew.</param>
/// <param name="HasMore">The reader should ask again at once.</param>
internal sealed record LiveRead(IReadOnlyList<JobEvent> Events, LivePlace Place, bool IsLost, bool HasMore);

/// <summary>
/// The newest events of all jobs, as the tail brought them, in one ring that all streams of this replica read: a stream is a place in it, so a slow one costs no
/// memory, and one that comes back finds what it missed. Outputs are left out: pages ask for those that they show.
/// </summary>
internal sealed class LiveLog(IOptions<DashboardOptions> options)
{
    private readonly Lock _gate = new();
    private readonly JobEvent[] _ring = new JobEvent[options.Value.RememberedEvents];
    private string _epoch = NewEpoch();
    private long _end;
    private bool _isStale;
    private TaskCompletionSource _news = New();

    /// <summary>Completes with the next change of anything here.</summary>
    public Task Next
    {
        get
        {
            lock (_gate)
            {
                return _news.Task;
            }
        }
    }

    /// <summary>Whether the job log cannot be followed at present: what pages show may be old.</summary>
    public bool IsStale
    {
        get
        {
            lock (_gate)
            {
                return _isStale;
            }
        }
    }

    /// <summary>Where a reader begins that has just loaded everything.</summary>
    public LivePlace End
    {
        get
        {
            lock (_gate)
            {
                return new LivePlace(_epoch, _end);
            }
        }
    }

    /// <summary>What the tail brought; also a sign that it works.</summary>
    public void Append(IReadOnlyList<JobEvent> events)
    {
        lock (_gate)
        {
            if (events.Count == 0 && !_isStale)
            {
                return;
            }

            _isStale = false;
            foreach (var jobEvent in events)
            {
                _ring[_end++ % _ring.Length] = jobEvent with { Body = jobEvent.Body with { Outputs = null } };
            }

            Wake();
        }
    }

    /// <summary>The tail lost its place, so events may be missing: every stream begins anew.</summary>
    public void Restart()
    {
        lock (_gate)
        {
            _epoch = NewEpoch();
            _end = 0;
            Wake();
        }
    }

    public void Fail()
    {
        lock (_gate)
        {
            if (!_isStale)
            {
                _isStale = true;
                Wake();
            }
        }
    }

    /// <summary>One tenant's events after a place, oldest first.</summary>
    public LiveRead Read(TenantId tenant, LivePlace after, int most)
    {
        lock (_gate)
        {
            if (after.Epoch != _epoch || after.Position > _end || after.Position < _end - _ring.Length)
            {
                return new LiveRead([], new LivePlace(_epoch, _end), IsLost: true, HasMore: false);
            }

            var events = new List<JobEvent>();
            var position = after.Position;
            for (; position < _end && events.Count < most; position++)
            {
                var jobEvent = _ring[position % _ring.Length];
                if (jobEvent.TenantId == tenant)
                {
                    events.Add(jobEvent);
                }
            }

            return new LiveRead(events, new LivePlace(_epoch, position), IsLost: false, HasMore: position < _end);
        }
    }

    private void Wake()
    {
        _news.TrySetResult();
        _news = New();
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static string NewEpoch() => RandomNumberGenerator.GetHexString(12, lowercase: true);
}
