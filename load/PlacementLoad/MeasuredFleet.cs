using RenderTrust.Contracts;
using RenderTrust.Scheduler.Placement;

namespace RenderTrust.PlacementLoad;

/// <param name="P50Ms">Of one choice, in milliseconds.</param>
/// <param name="PeerP50Ms">Of the least that any placer does: one look at every node, for the nearest that fits.</param>
internal sealed record PlacementTimes(double P50Ms, double P99Ms, double PeerP50Ms, double PeerP99Ms);

/// <summary>A fleet whose latencies, shares of earnings and free slots differ, the same in every run; and the placer's rule over it.</summary>
internal sealed class MeasuredFleet
{
    private const int Seed = 500;
    private const int PartLength = 100;
    private const long Gibibyte = 1L << 30;

    private readonly TenantId creator = TenantId.New();
    private readonly TimeProvider time = TimeProvider.System;
    private readonly Random random = new(Seed);
    private readonly FleetNode[] nodes;
    private readonly UnitNeeds needs;

    public MeasuredFleet(int count)
    {
        // Each fiftieth is the creator's own, which makes the third criterion count.
        nodes = [.. Enumerable.Range(0, count).Select(n => new FleetNode(
            NodeId.New(), $"node-{n}", n % 50 == 0 ? creator : TenantId.New(), $"key-{n}",
            new NodeCapabilities(DeviceKind.Gpu, 8, 4, 24 * Gibibyte, 64 * Gibibyte, "docker", true, true, "1"),
            Live: true, Epoch: 1, "hub", 0, 0, FreeSlots: 4))];
        needs = new UnitNeeds(
            creator, DeviceKind.Gpu, Gibibyte, Gibibyte, 400_000, nodes.Select(node => node.RecipientKeyId).ToHashSet(), new HashSet<NodeId>(), new Dictionary<NodeId, string>());
    }

    /// <summary>The rule and its peer in turns, so that what else the machine does hits both.</summary>
    public PlacementTimes Measure(int decisions)
    {
        var (choices, looks) = (new List<double>(decisions), new List<double>(decisions));
        while (choices.Count < decisions)
        {
            for (var n = 0; n < PartLength; n++)
            {
                Move();
                choices.Add(Time(Choose));
                looks.Add(Time(LookOnce));
            }
        }

        return new PlacementTimes(At(choices, 0.5), At(choices, 0.99), At(looks, 0.5), At(looks, 0.99));
    }

    // As between two decisions of a living fleet: heartbeats and settled units have changed some of the nodes.
    private void Move()
    {
        for (var changes = 0; changes < Math.Max(1, nodes.Length / 10); changes++)
        {
            var at = random.Next(nodes.Length);
            nodes[at] = nodes[at] with { LatencyMs = 1 + (random.NextDouble() * 120), EarningsShare = random.NextDouble() / nodes.Length, FreeSlots = random.Next(1, 5) };
        }
    }

    private FleetNode? Choose() => PlacementRules.Choose(needs, nodes, new PlacementOptions(), development: false).Node;

    private FleetNode? LookOnce()
    {
        FleetNode? nearest = null;
        foreach (var node in nodes)
        {
            if (PlacementRules.CouldRun(needs, node, development: false) && node.FreeSlots > 0 && (nearest is null || node.LatencyMs < nearest.LatencyMs))
            {
                nearest = node;
            }
        }

        return nearest;
    }

    private double Time(Func<FleetNode?> choice)
    {
        var started = time.GetTimestamp();
        var chosen = choice();
        var elapsed = time.GetElapsedTime(started).TotalMilliseconds;
        return chosen is not null ? elapsed : throw new InvalidOperationException("Every node of the fleet can take the unit, and none was chosen.");
    }

    private static double At(List<double> times, double share) => times.Order().ElementAt(Math.Max(0, (int)Math.Ceiling(share * times.Count) - 1));
}
