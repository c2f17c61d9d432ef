namespace RenderTrust.Sidecar.Hosts;

/// <summary>This host's right to run turns of the actors in a slot, as the database has granted it.</summary>
/// <param name="LockId">What a write under this right shares, and a takeover has alone.</param>
/// <param name="Token">Grows with each change of the owner.</param>
internal sealed record Hold(HostDirectory Directory, Guid HostId, long LockId, string Type, short Slot, long Token)
{
    /// <summary>False once another host may own the slot, by our own clock.</summary>
    public bool IsValid => Directory.SeatOf(this) is { Hold: not null };

    /// <summary>Whether new turns may begin under it.</summary>
    public bool IsOpen => Directory.SeatOf(this) is { Hold: not null, IsLeft: false };
}

/// <summary>What is known of a slot: it is ours, a peer's, or neither for the moment.</summary>
/// <param name="IsLeft">Ours until the turns that run have ended.</param>
internal readonly record struct Seat(Hold? Hold, Peer? Peer, bool IsLeft = false);
