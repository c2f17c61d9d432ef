using Npgsql;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Hosts;

internal sealed partial class HostDirectory
{
    private const string NoRight = "42501";

    /// <summary>
    /// One round: (1) renew, publish what changed, free what dead hosts owned, read everything; (2) cut off who hangs;
    /// (3) claim our share of what is free, hand over what is more than it.
    /// </summary>
    /// <returns>What is published now.</returns>
    private async Task<string> LookAsync(HostSession session, string published, CancellationToken cancellationToken)
    {
        // Step 1
        var mine = Describe();
        var text = string.Join('\n', mine.Select(app => $"{app.AppId} {app.IsReady} {string.Join(' ', app.ActorTypes)}"));
        var view = new HostView();
        await session.RunAsync(
        [
            Locked(schema.OneAtATime()),
            .. text == published ? [] : schema.Publish(session.HostId, self, mine).Select(command => new Step(command)),
            new Step(schema.TakeOver(session.HostId)),
            .. view.Steps(schema),
        ], cancellationToken);

        // Step 2
        if (view.HasHanging)
        {
            await CutOffAsync(session, cancellationToken);
        }

        // Step 3
        var (claims, left) = Decide(session, view, mine);
        if (claims.Count > 0 || left.Count > 0)
        {
            await session.RunAsync(
            [
                Locked(schema.OneAtATime()),
                .. left.Count == 0 ? [] : (Step[])[Locked(schema.NoWrites(session.LockId))],
                .. left.Select(entry => new Step(schema.HandOver(session.HostId, entry.Type, entry.Slots))),
                .. claims.Select(claim => new Step(schema.Claim(session.HostId, claim.Type, claim.Slots))),
                new Step(schema.ReadSlots(), view.ReadSlotsAsync),
            ], cancellationToken);
            foreach (var (type, slots) in left)
            {
                Array.ForEach(slots, slot => leaving.Remove((type, slot)));
            }
        }

        Place(session, view);
        return text;
    }

    // A lock is a SELECT and has a result, of which there is nothing to read.
    private static Step Locked(NpgsqlBatchCommand command) => new(command, static _ => Task.CompletedTask);

    private List<PublishedApp> Describe()
    {
        var types = actors.HostedTypes.ToLookup(hosted => hosted.AppId, hosted => hosted.Type);
        return apps.Apps.Select(app => new PublishedApp(
            app.Id, app.HasPort && app.State.Health == AppHealth.Ready,
            Apps.Contains(app) ? [.. types[app.Id].Order(StringComparer.Ordinal)] : [])).ToList();
    }

    private (List<(string Type, short[] Slots)> Claims, List<(string Type, short[] Slots)> Left) Decide(HostSession session, HostView view, List<PublishedApp> mine)
    {
        var claims = new List<(string, short[])>();
        var left = new List<(string, short[])>();
        var hosted = mine.SelectMany(app => app.ActorTypes).ToHashSet(StringComparer.Ordinal);
        foreach (var type in hosted.Union(view.Slots.Keys).Order(StringComparer.Ordinal))
        {
            var owners = view.Slots.TryGetValue(type, out var slots) ? slots.Select(slot => slot.Owner).ToArray() : [];
            var hosts = view.HostsWithType(type).Count();
            var (claim, handOver) = SlotRules.Decide(owners, session.HostId, hosts, hosted.Contains(type), actors.BusySlots(type));
            if (claim.Length > 0)
            {
                claims.Add((type, claim));
            }

            var done = Leave(type, handOver);
            if (done.Length > 0)
            {
                left.Add((type, done));
            }

            if (claim.Length > 0 || done.Length > 0)
            {
                LogShared(logger, type, claim.Length, done.Length, hosts);
            }
        }

        return (claims, left);
    }

    /// <summary>Nobody enters a slot that we leave; once its actors are deactivated, it is handed over. Those that are left already are answered.</summary>
    private short[] Leave(string type, short[] slots)
    {
        foreach (var (key, _) in leaving.Where(entry => entry.Key.Type == type && entry.Value.IsCompleted && !slots.Contains(entry.Key.Slot)).ToList())
        {
            // The others have changed meanwhile, and it stays.
            leaving.Remove(key);
        }

        var fresh = slots.Where(slot => !leaving.ContainsKey((type, slot))).ToHashSet();
        if (fresh.Count > 0)
        {
            // Closed before their actors are asked to end: otherwise new ones could come after that.
            placement = placement with { Seats = Left(type, fresh) };
            var ended = RetireAsync(type, fresh);
            foreach (var slot in fresh)
            {
                leaving[(type, slot)] = ended;
            }
        }

        return [.. slots.Where(slot => leaving[(type, slot)].IsCompleted)];
    }

    private async Task RetireAsync(string type, HashSet<short> slots)
    {
        await actors.RetireAsync(this, (left, slot) => left == type && slots.Contains(slot));
        Wake();
    }

    private Dictionary<string, Seat[]> Left(string type, HashSet<short> slots) => placement.Seats.ToDictionary(
        entry => entry.Key,
        entry => entry.Key != type ? entry.Value : [.. entry.Value.Select((seat, slot) => seat with { IsLeft = seat.IsLeft || slots.Contains((short)slot) })]);

    private void Place(HostSession session, HostView view)
    {
        foreach (var (id, peer) in peers.Where(entry => !view.Hosts.ContainsKey(entry.Key)).ToList())
        {
            peers.Remove(id);
            peer.Dispose();
        }

        // Our own earlier session may still be there, with our own secret.
        foreach (var (id, address) in view.Hosts.Where(host => host.Value.Secret != self.Secret && !peers.ContainsKey(host.Key)))
        {
            peers[id] = new Peer(address);
        }

        // Also those that nobody has any more while turns of them still end here.
        var types = view.Slots.Keys.Union(actors.HostedTypes.Select(hosted => hosted.Type)).Where(type =>
            view.HostsWithType(type).Any() || (view.Slots.TryGetValue(type, out var slots) && slots.Any(slot => slot.Owner == session.HostId)));
        placement = new Placement(session, view, new Dictionary<Guid, Peer>(peers), types.ToDictionary(type => type, type => Seats(session, view, type)));
    }

    private Seat[] Seats(HostSession session, HostView view, string type)
    {
        var seats = new Seat[SlotRules.Count];
        if (view.Slots.TryGetValue(type, out var slots))
        {
            for (short slot = 0; slot < seats.Length; slot++)
            {
                var (owner, token) = slots[slot];
                seats[slot] = owner == session.HostId
                    ? new Seat(new Hold(this, session.HostId, session.LockId, type, slot, token), null, leaving.ContainsKey((type, slot)))
                    : new Seat(null, owner is { } other ? peers.GetValueOrDefault(other) : null);
            }
        }

        return seats;
    }

    private async Task CutOffAsync(HostSession session, CancellationToken cancellationToken)
    {
        try
        {
            await session.RunAsync([new Step(schema.CutOff(session.HostId))], cancellationToken);
            Wake();
        }
        catch (PostgresException e) when (e.SqlState == NoRight)
        {
            LogNotCutOff(logger, e.MessageText);
        }
    }
}
