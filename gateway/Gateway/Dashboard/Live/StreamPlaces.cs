using System.Collections.Concurrent;
using Microsoft.Extensions.Options;

namespace RenderTrust.Gateway.Dashboard.Live;

/// <summary>Counts the open streams of each session on this replica.</summary>
internal sealed class StreamPlaces(IOptions<DashboardOptions> options)
{
    private readonly ConcurrentDictionary<Guid, int> _open = new();

    /// <summary>Null when the session has as many as it may.</summary>
    public IDisposable? TryTake(Guid session)
    {
        var most = options.Value.MaxStreamsPerSession;
        if (_open.AddOrUpdate(session, 1, (_, count) => count + 1) > most)
        {
            Leave(session);
            return null;
        }

        return new Place(this, session);
    }

    private void Leave(Guid session)
    {
        if (_open.AddOrUpdate(session, 0, (_, count) => count - 1) <= 0)
        {
            // Only if it is still nobody's: another stream may have come in between.
            ((ICollection<KeyValuePair<Guid, int>>)_open).Remove(new(session, 0));
        }
    }

    private sealed class Place(StreamPlaces places, Guid session) : IDisposable
    {
        private int _left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0)
            {
                places.Leave(session);
            }
        }
    }
}
