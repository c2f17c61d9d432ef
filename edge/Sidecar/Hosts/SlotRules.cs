namespace RenderTrust.Sidecar.Hosts;

/// <summary>
/// Actors of a type are owned in slots, not one by one: an actor's first call then needs no row of its own, and a host's death
/// moves a few rows. Which slots a host asks for and which it hands over is decided here.
/// </summary>
internal static class SlotRules
{
    /// <summary>Fixed for good: hosts of different versions must find an actor in the same slot.</summary>
    public const int Count = 64;

    /// <summary>FNV-1a, since a string's own hash differs from process to process.</summary>
    public static short SlotOf(string actorId)
    {
        var hash = 2166136261u;
        foreach (var letter in actorId)
        {
            hash = (hash ^ letter) * 16777619u;
        }

        return (short)((hash ^ (hash >> 16)) % Count);
    }

    /// <param name="owners">By slot; null is nobody's.</param>
    /// <param name="hosts">How many hosts have the type, this one included if it has.</param>
    /// <param name="isHosted">Whether this one has.</param>
    /// <param name="busy">Slots in which a turn of an earlier ownership still runs here.</param>
    public static (short[] Claim, short[] HandOver) Decide(IReadOnlyList<Guid?> owners, Guid self, int hosts, bool isHosted, IReadOnlySet<short> busy)
    {
        var mine = Slots(owners, self);
        if (!isHosted)
        {
            return ([], mine);
        }

        var fair = (Count + hosts - 1) / hosts;
        return mine.Length > fair
            ? ([], mine[fair..])
            : ([.. Slots(owners, null).Where(slot => !busy.Contains(slot)).Take(fair - mine.Length)], []);
    }

    private static short[] Slots(IReadOnlyList<Guid?> owners, Guid? owner) =>
        [.. Enumerable.Range(0, Count).Where(slot => (slot < owners.Count ? owners[slot] : null) == owner).Select(slot => (short)slot)];
}
