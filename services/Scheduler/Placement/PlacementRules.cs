using System.Globalization;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Placement;

/// <summary>What a unit asks of a node.</summary>
/// <param name="Recipients">Keys that hold a grant for the manifest and every asset.</param>
/// <param name="Lane">Fleet nodes take units of the fleet's lane only, overflow nodes those of the overflow lane.</param>
internal sealed record UnitNeeds(
    TenantId TenantId, DeviceKind DeviceKind, long MemoryBytes, long ScratchBytes, long NodeRatePerMinuteMicrocredits,
    IReadOnlySet<string> Recipients, IReadOnlySet<NodeId> FailedOn, IReadOnlyDictionary<NodeId, string> RefusedBy,
    UnitLane Lane = UnitLane.Fleet, JobTraceRoot? Trace = null);

/// <summary>What the fleet knows of a node at the moment of the decision.</summary>
/// <param name="LatencyMs">Round trip as the node's heartbeats measured it; null before the first.</param>
/// <param name="EarningsShare">Its part of what all nodes earned lately, 0 to 1.</param>
/// <param name="LeasedMemoryBytes">What the attempts that reserve its slots may take of its memory.</param>
internal sealed record FleetNode(
    NodeId NodeId, string Name, TenantId OwnerTenantId, string RecipientKeyId, NodeCapabilities Capabilities,
    bool Live, long Epoch, string HubAppId, double? LatencyMs, double EarningsShare, int FreeSlots, long LeasedMemoryBytes = 0,
    UnitLane Lane = UnitLane.Fleet)
{
    public long FreeMemoryBytes => Math.Max(0, Capabilities.MemoryBytes - LeasedMemoryBytes);
}

/// <summary>What keeps a unit waiting when nothing could be chosen.</summary>
internal enum WaitingFor
{
    Capacity,
    Recipients,
    Refusal,
}

/// <summary>The chosen node, or why there is none; with the trace that is kept either way.</summary>
internal sealed record Placement(FleetNode? Node, WaitingFor WaitingFor, PlacementDecision Decision);

/// <summary>Which node gets a unit. Pure: the same candidates give the same answer, whatever their order.</summary>
internal static class PlacementRules
{
    // A node that has not been measured yet is neither preferred nor shut out.
    private const double UnknownLatencyMs = 50;

    /// <summary>Said of nodes that the job was not sealed to; they are kept in the trace and left out of what its creator reads.</summary>
    internal const string NoKey = "holds no key that the job was sealed to";

    private const string OverflowOnly = "is an overflow node, and the unit is in the fleet's lane";
    private const string FleetOnly = "is of the fleet, and the unit has overflowed";

    public static Placement Choose(UnitNeeds needs, IReadOnlyCollection<FleetNode> nodes, PlacementOptions options, bool development)
    {
        var judged = nodes
            .OrderBy(node => node.NodeId.Value)
            .Select(node => (Node: node, Refusal: Refuse(needs, node, development)))
            .ToList();
        var eligible = judged.Where(item => item.Refusal is null).Select(item => item.Node).ToList();
        var sum = options.LatencyWeight + options.EarningsWeight + options.PriceWeight;
        var (latencyWeight, earningsWeight, priceWeight) = sum > 0
            ? (options.LatencyWeight / sum, options.EarningsWeight / sum, options.PriceWeight / sum)
            : (1d / 3, 1d / 3, 1d / 3);

        var criteria = eligible.ToDictionary(node => node.NodeId, node => Criteria(needs, node));
        var all = criteria.Values.ToList();
        var (latency, earnings, price) = (Span(all, c => c.Latency), Span(all, c => c.Earnings), Span(all, c => c.Price));
        var scores = criteria.ToDictionary(
            pair => pair.Key,
            pair => (latencyWeight * Goodness(pair.Value.Latency, latency))
                + (earningsWeight * Goodness(pair.Value.Earnings, earnings))
                + (priceWeight * Goodness(pair.Value.Price, price)));
        var front = eligible.Where(node => !all.Any(other => Dominates(other, criteria[node.NodeId]))).Select(node => node.NodeId).ToHashSet();

        // Equal scores go to the node with more free slots, then to the smaller id: a rule that a rerun repeats.
        var chosen = eligible
            .Where(node => front.Contains(node.NodeId))
            .OrderByDescending(node => scores[node.NodeId])
            .ThenByDescending(node => node.FreeSlots)
            .ThenBy(node => node.NodeId.Value)
            .FirstOrDefault();

        var candidates = judged.Select(item => new PlacementCandidate(
            item.Node.NodeId,
            item.Node.Name,
            item.Node.LatencyMs,
            item.Node.EarningsShare,
            item.Refusal is null ? criteria[item.Node.NodeId].Price : null,
            scores.TryGetValue(item.Node.NodeId, out var score) ? score : null,
            front.Contains(item.Node.NodeId),
            item.Node.NodeId == chosen?.NodeId,
            item.Refusal?.Text)).ToList();
        return new Placement(
            chosen,
            chosen is null ? Waiting(needs.Lane, judged.Select(item => item.Refusal!.Kind)) : WaitingFor.Capacity,
            new PlacementDecision(Explain(needs.Lane, chosen, candidates, front.Count), candidates, latencyWeight, earningsWeight, priceWeight));
    }

    /// <summary>Runners that do not isolate are for development only.</summary>
    public static bool MayRun(FleetNode node, bool development) => development || node.Capabilities.Runner is not ("process" or "simulate");

    /// <summary>Could this node ever run the unit, free or not, connected or not?</summary>
    public static bool CouldRun(UnitNeeds needs, FleetNode node, bool development) =>
        Refuse(needs, node, development) is not { Kind: RefusalKind.Never or RefusalKind.NotARecipient or RefusalKind.OtherLane or RefusalKind.FailedHere };

    internal static bool Dominates((double Latency, double Earnings, double Price) a, (double Latency, double Earnings, double Price) b) =>
        a.Latency <= b.Latency && a.Earnings <= b.Earnings && a.Price <= b.Price
        && (a.Latency < b.Latency || a.Earnings < b.Earnings || a.Price < b.Price);

    /// <summary>Lower is better in all three. The price is the part that depends on the node: its owner's own jobs run free there.</summary>
    internal static (double Latency, double Earnings, double Price) Criteria(UnitNeeds needs, FleetNode node) =>
        (node.LatencyMs ?? UnknownLatencyMs, node.EarningsShare, node.OwnerTenantId == needs.TenantId ? 0 : needs.NodeRatePerMinuteMicrocredits);

    private static (double Best, double Worst) Span(
        List<(double Latency, double Earnings, double Price)> all, Func<(double Latency, double Earnings, double Price), double> criterion) =>
        all.Count == 0 ? (0, 0) : (all.Min(criterion), all.Max(criterion));

    private static double Goodness(double value, (double Best, double Worst) span) => span.Worst > span.Best ? (span.Worst - value) / (span.Worst - span.Best) : 1;

    private enum RefusalKind
    {
        Never,
        NotARecipient,
        OtherLane,
        FailedHere,
        RefusedLately,
        NoSession,
        NoFreeSlot,
        NoFreeMemory,
    }

    private sealed record Refusal(RefusalKind Kind, string Text);

    private static Refusal? Refuse(UnitNeeds needs, FleetNode node, bool development)
    {
        if (!needs.Recipients.Contains(node.RecipientKeyId))
        {
            return new(RefusalKind.NotARecipient, NoKey);
        }

        if (node.Lane != needs.Lane)
        {
            return new(RefusalKind.OtherLane, node.Lane == UnitLane.Overflow ? OverflowOnly : FleetOnly);
        }

        var capabilities = node.Capabilities;
        if (capabilities.DeviceKind != needs.DeviceKind)
        {
            return new(RefusalKind.Never, $"is a {Word(capabilities.DeviceKind)} node, the module needs a {Word(needs.DeviceKind)}");
        }

        if (!MayRun(node, development))
        {
            return new(RefusalKind.Never, $"its runner '{capabilities.Runner}' does not isolate and is for development only");
        }

        if (capabilities.MemoryBytes < needs.MemoryBytes)
        {
            return new(RefusalKind.Never, $"has {Mebibytes(capabilities.MemoryBytes)} of memory, the module needs {Mebibytes(needs.MemoryBytes)}");
        }

        if (capabilities.ScratchBytes < needs.ScratchBytes)
        {
            return new(RefusalKind.Never, $"has {Mebibytes(capabilities.ScratchBytes)} of scratch space, the job needs {Mebibytes(needs.ScratchBytes)}");
        }

        if (needs.FailedOn.Contains(node.NodeId))
        {
            return new(RefusalKind.FailedHere, "this unit failed there before");
        }

        if (needs.RefusedBy.TryGetValue(node.NodeId, out var reason))
        {
            return new(RefusalKind.RefusedLately, $"refused this unit: {reason}");
        }

        if (!node.Live)
        {
            return new(RefusalKind.NoSession, "is not connected");
        }

        if (node.FreeSlots <= 0)
        {
            return new(RefusalKind.NoFreeSlot, "has no free slot");
        }

        return node.FreeMemoryBytes >= needs.MemoryBytes
            ? null
            : new(RefusalKind.NoFreeMemory, $"has {Mebibytes(node.FreeMemoryBytes)} of memory left beside what runs there, the module needs {Mebibytes(needs.MemoryBytes)}");
    }

    private static WaitingFor Waiting(UnitLane lane, IEnumerable<RefusalKind> refusals)
    {
        var kinds = refusals.ToHashSet();
        kinds.Remove(RefusalKind.OtherLane);

        // Overflow nodes are started when a unit waits for them: that there is none yet is a matter of capacity.
        var noneStarted = lane == UnitLane.Overflow && !kinds.Any(kind => kind != RefusalKind.NotARecipient);
        return noneStarted || kinds.Contains(RefusalKind.NoFreeSlot) || kinds.Contains(RefusalKind.NoFreeMemory) || kinds.Contains(RefusalKind.NoSession) ? WaitingFor.Capacity
            : kinds.Contains(RefusalKind.RefusedLately) ? WaitingFor.Refusal
            : WaitingFor.Recipients;
    }

    private static string Explain(UnitLane lane, FleetNode? chosen, List<PlacementCandidate> candidates, int frontSize)
    {
        if (chosen is null)
        {
            // Read by the creator: nodes that the job was not sealed to are none of its business, and those of the other lane are no help.
            var recipients = candidates.Where(candidate => candidate.RefusedBecause is not (NoKey or OverflowOnly or FleetOnly)).ToList();
            return recipients.Count == 0
                ? lane == UnitLane.Overflow ? "The unit overflowed and waits until the platform has started an agent for it." : "No node that the job was sealed to has connected to this platform yet."
                : $"None of the {recipients.Count} nodes that the job was sealed to can take the unit now: {string.Join("; ", recipients.Take(5).Select(c => $"{c.NodeName} {c.RefusedBecause}"))}.";
        }

        var eligible = candidates.Count(candidate => candidate.RefusedBecause is null);
        var latency = chosen.LatencyMs is { } ms ? ms.ToString("0.0", CultureInfo.InvariantCulture) + " ms away" : "not yet measured";
        var overflowed = lane == UnitLane.Overflow ? "The unit overflowed. " : "";
        return overflowed + (eligible == 1
            ? $"{chosen.Name} was the only node of {candidates.Count} that could take the unit ({latency})."
            : $"{chosen.Name} scored highest of {frontSize} undominated nodes ({eligible} of {candidates.Count} could take the unit): {latency}, {chosen.EarningsShare:P0} of recent earnings.");
    }

    private static string Word(DeviceKind kind) => kind == DeviceKind.Gpu ? "GPU" : "CPU";

    private static string Mebibytes(long bytes) => $"{bytes / 1_048_576} MiB";
}
