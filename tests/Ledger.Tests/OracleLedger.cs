namespace RenderTrust.Ledger.Tests;

/// <summary>
/// The ledger as a page of plain code, written from the rules and not from the SQL: what it answers and what it holds must be the same.
/// </summary>
internal sealed class OracleLedger
{
    private const long Threshold = 10_000_000_000;

    private readonly Dictionary<Guid, (Guid Tenant, long Amount)> topUps = [];
    private readonly Dictionary<Guid, Hold> holds = [];
    private readonly Dictionary<string, Taken> captures = [];
    private readonly List<Taken> toPost = [];
    private readonly List<Taken> toRelease = [];
    private readonly Dictionary<string, long> gross = [];
    private readonly HashSet<string> upperTier = [];
    private readonly HashSet<Guid> blocked = [];

    /// <summary>What entries sum to, by account.</summary>
    public Dictionary<string, long> Posted { get; } = [];

    public Dictionary<Guid, long> Held { get; } = [];

    public long Available(Guid tenant) => Posted.GetValueOrDefault($"creator:{tenant}") - Held.GetValueOrDefault(tenant);

    public bool HasAccount(Guid tenant) => Posted.ContainsKey($"creator:{tenant}");

    public string TopUp(Guid id, Guid tenant, long amount)
    {
        if (topUps.TryGetValue(id, out var first))
        {
            return first == (tenant, amount) ? "alreadyCreated" : "conflictingAmount";
        }

        topUps[id] = (tenant, amount);
        Move("issuance:development", $"creator:{tenant}", amount);
        return "created";
    }

    public void Block(Guid tenant, bool value) => _ = value ? blocked.Add(tenant) : blocked.Remove(tenant);

    public (string, long) Place(Guid id, Guid tenant, long amount, Guid job, DateTimeOffset expires)
    {
        string outcome;
        if (holds.TryGetValue(id, out var first))
        {
            outcome = first.Tenant == tenant && first.Amount == amount && first.Job == job ? "alreadyPlaced" : "conflictingAmount";
        }
        else if (HasAccount(tenant) && blocked.Contains(tenant))
        {
            outcome = "accountBlocked";
        }
        else if (Available(tenant) < amount)
        {
            outcome = "insufficientCredits";
        }
        else
        {
            holds[id] = new Hold(tenant, amount, job) { Expires = expires };
            Held[tenant] = Held.GetValueOrDefault(tenant) + amount;
            outcome = "placed";
        }

        return (outcome, Available(tenant));
    }

    public Capture Take(Guid holdId, string id, int unit, long ms, long rate, long nodeRate, Guid node, Guid developer, string module)
    {
        var asked = new Taken(holdId, unit, ms, rate, nodeRate, node, developer, module);
        if (captures.TryGetValue(id, out var first))
        {
            return first == asked ? Answer("alreadyCaptured", first) : new Capture("conflictingAmount", 0, 0, 0, 0);
        }

        if (captures.Values.FirstOrDefault(c => c.HoldId == holdId && c.Unit == unit) is { } other)
        {
            return Answer("alreadyCaptured", other);
        }

        if (!holds.TryGetValue(holdId, out var hold))
        {
            return new Capture("unknownHold", 0, 0, 0, 0);
        }

        if (hold.Closed)
        {
            return new Capture("holdClosed", 0, 0, 0, 0);
        }

        var charge = (long)((Int128)ms * rate / 60_000);
        if (hold.Captured + charge > hold.Amount)
        {
            return new Capture("exceedsHold", 0, 0, 0, 0);
        }

        var nodeShare = Math.Min(charge, node == hold.Tenant ? 0 : (long)((Int128)ms * nodeRate / 60_000));
        var developerShare = (long)((Int128)(charge - nodeShare) * (upperTier.Contains(Name(module)) ? 85 : 70) / 100);
        // Equality is the request's; the shares ride along.
        asked.Shares = (charge, nodeShare, developerShare);
        captures[id] = asked;
        toPost.Add(asked);
        hold.Captured += charge;
        return Answer("captured", asked);
    }

    public Closing Close(Guid id)
    {
        if (!holds.TryGetValue(id, out var hold))
        {
            return new Closing("unknownHold", 0, 0, 0);
        }

        var outcome = hold.Closed ? "alreadyClosed" : "closed";
        End(hold);
        return new Closing(outcome, hold.Amount, hold.Captured, hold.Amount - hold.Captured);
    }

    public string Extend(Guid id, DateTimeOffset expires)
    {
        if (!holds.TryGetValue(id, out var hold))
        {
            return "unknownHold";
        }

        if (hold.Closed)
        {
            return "holdClosed";
        }

        hold.Expires = expires > hold.Expires ? expires : hold.Expires;
        return "extended";
    }

    public int Expire(DateTimeOffset now)
    {
        var due = holds.Values.Where(h => !h.Closed && h.Expires < now).ToList();
        due.ForEach(End);
        return due.Count;
    }

    public int Post()
    {
        foreach (var taken in toPost)
        {
            var (charge, node, developer) = taken.Shares;
            var payer = holds[taken.HoldId].Tenant;
            Held[payer] -= charge;
            Move($"creator:{payer}", $"earnings_pending:{taken.Node}", node);
            Move($"creator:{payer}", $"earnings_pending:{taken.Developer}", developer);
            Move($"creator:{payer}", "platform:revenue", charge - node - developer);
            gross[Name(taken.Module)] = gross.GetValueOrDefault(Name(taken.Module)) + charge;
        }

        foreach (var module in gross.Where(g => g.Value > Threshold))
        {
            upperTier.Add(module.Key);
        }

        toRelease.AddRange(toPost);
        return Drain(toPost);
    }

    public int Release()
    {
        foreach (var taken in toRelease)
        {
            Move($"earnings_pending:{taken.Node}", $"earnings:{taken.Node}", taken.Shares.Node);
            Move($"earnings_pending:{taken.Developer}", $"earnings:{taken.Developer}", taken.Shares.Developer);
        }

        return Drain(toRelease);
    }

    private static int Drain(List<Taken> queue)
    {
        var count = queue.Count;
        queue.Clear();
        return count;
    }

    private void End(Hold hold)
    {
        if (!hold.Closed)
        {
            hold.Closed = true;
            Held[hold.Tenant] -= hold.Amount - hold.Captured;
        }
    }

    private void Move(string from, string to, long amount)
    {
        if (amount > 0)
        {
            Posted[from] = Posted.GetValueOrDefault(from) - amount;
            Posted[to] = Posted.GetValueOrDefault(to) + amount;
        }
    }

    private static string Name(string module) => module.Split('@')[0];

    private static Capture Answer(string outcome, Taken taken) => new(
        outcome, taken.Shares.Charge, taken.Shares.Node, taken.Shares.Developer, taken.Shares.Charge - taken.Shares.Node - taken.Shares.Developer);

    private sealed class Hold(Guid tenant, long amount, Guid job)
    {
        public Guid Tenant { get; } = tenant;

        public long Amount { get; } = amount;

        public Guid Job { get; } = job;

        public long Captured { get; set; }

        public bool Closed { get; set; }

        public DateTimeOffset Expires { get; set; }
    }

    private sealed record Taken(Guid HoldId, int Unit, long Ms, long Rate, long NodeRate, Guid Node, Guid Developer, string Module)
    {
        public (long Charge, long Node, long Developer) Shares;

        public bool Equals(Taken? other) =>
            other is not null && (HoldId, Unit, Ms, Rate, NodeRate, Node, Developer, Module)
                == (other.HoldId, other.Unit, other.Ms, other.Rate, other.NodeRate, other.Node, other.Developer, other.Module);

        public override int GetHashCode() => HashCode.Combine(HoldId, Unit);
    }
}
