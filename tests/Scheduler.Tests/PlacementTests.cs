using CsCheck;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Placement;

namespace RenderTrust.Scheduler.Tests;

/// <summary>The rule against an oracle that compares every node with every other.</summary>
public sealed class PlacementTests
{
    private static readonly TenantId Creator = TenantId.New();

    private static readonly Gen<FleetNode> Nodes =
        Gen.Select(
            Gen.Int[1, 1_000_000], Gen.Bool, Gen.Int[0, 5], Gen.Int[0, 4], Gen.Bool, Gen.Int[0, 3], Gen.Int[0, 3].Select(k => k == 3 ? DeviceKind.Gpu : DeviceKind.Cpu),
            Gen.Int[0, 2].Select(r => new[] { "bubblewrap", "docker", "simulate" }[r]))
        .Select((id, own, latency, earnings, live, free, kind, runner) => new FleetNode(
            new NodeId(new Guid(id, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])), $"node-{id}", own ? Creator : TenantId.New(), id % 7 == 0 ? "stranger" : "key",
            new NodeCapabilities(kind, 4, 4, id % 5 == 0 ? 1 : 1L << 30, id % 11 == 0 ? 1 : 1L << 30, runner, true, true, "1"),
            live, 1, "hub", latency == 0 ? null : latency * 10, earnings / 4d, free));

    private static readonly Gen<FleetNode[]> Fleets = Nodes.Array[0, 12].Select(nodes => nodes.DistinctBy(node => node.NodeId).ToArray());

    private static readonly Gen<PlacementOptions> Weights = Gen.Select(Gen.Int[0, 5], Gen.Int[0, 5], Gen.Int[0, 5])
        .Select((a, b, c) => new PlacementOptions { LatencyWeight = a, EarningsWeight = b, PriceWeight = c });

    private static UnitNeeds Needs(params NodeId[] failedOn) => new(
        Creator, DeviceKind.Cpu, 1 << 20, 1 << 20, 40_000, new HashSet<string> { "key" }, failedOn.ToHashSet(), new Dictionary<NodeId, string>());

    [Fact]
    public void No_dominated_or_unfit_node_is_ever_chosen_and_the_best_of_the_rest_is() =>
        Gen.Select(Fleets, Weights).Sample((fleet, weights) =>
        {
            var choice = PlacementRules.Choose(Needs(), fleet, weights, development: false);

            var fit = fleet.Where(IsFit).ToList();
            var undominated = fit.Where(node => !fit.Any(other => OracleDominates(other, node))).ToList();
            Assert.Equal(fit.Count == 0, choice.Node is null);
            if (choice.Node is not null)
            {
                Assert.Contains(choice.Node, undominated);
                var scores = choice.Decision.Candidates.Where(candidate => undominated.Any(node => node.NodeId == candidate.NodeId)).Select(candidate => candidate.Score!.Value);
                Assert.Equal(scores.Max(), choice.Decision.Candidates.Single(candidate => candidate.Chosen).Score!.Value);
            }
        });

    [Fact]
    public void The_trace_names_every_candidate_once_with_a_reason_exactly_when_it_was_unfit() =>
        Fleets.Sample(fleet =>
        {
            var choice = PlacementRules.Choose(Needs(), fleet, new PlacementOptions(), development: false);

            Assert.Equal(fleet.Select(node => node.NodeId).Order(Comparer<NodeId>.Create((a, b) => a.Value.CompareTo(b.Value))), choice.Decision.Candidates.Select(candidate => candidate.NodeId));
            foreach (var node in fleet)
            {
                var candidate = choice.Decision.Candidates.Single(item => item.NodeId == node.NodeId);
                Assert.Equal(IsFit(node), candidate.RefusedBecause is null);
                Assert.Equal(candidate.NodeId == choice.Node?.NodeId, candidate.Chosen);
            }
        });

    [Fact]
    public void The_order_of_the_candidates_changes_nothing() =>
        Gen.Select(Fleets, Gen.Int[0, int.MaxValue]).Sample((fleet, seed) =>
        {
            var shuffled = fleet.ToArray();
            new Random(seed).Shuffle(shuffled);

            Assert.Equal(
                PlacementRules.Choose(Needs(), fleet, new PlacementOptions(), false).Node,
                PlacementRules.Choose(Needs(), shuffled, new PlacementOptions(), false).Node);
        });

    [Fact]
    public void Weights_are_normalised()
    {
        var decision = PlacementRules.Choose(Needs(), [], new PlacementOptions { LatencyWeight = 5, EarningsWeight = 3, PriceWeight = 2 }, false).Decision;

        Assert.Equal((0.5, 0.3, 0.2), (decision.LatencyWeight, decision.EarningsWeight, decision.PriceWeight));
    }

    [Fact]
    public void The_nearer_node_wins_when_all_else_is_equal()
    {
        var far = Node(1, latency: 80);
        var near = Node(2, latency: 8);

        Assert.Equal(near, PlacementRules.Choose(Needs(), [far, near], new PlacementOptions(), false).Node);
    }

    [Fact]
    public void Own_nodes_go_before_others_of_the_same_distance()
    {
        var other = Node(1, latency: 10);
        var own = Node(2, latency: 10) with { OwnerTenantId = Creator };

        Assert.Equal(own, PlacementRules.Choose(Needs(), [other, own], new PlacementOptions(), false).Node);
    }

    [Fact]
    public void A_unit_does_not_go_back_to_where_it_failed()
    {
        var first = Node(1, latency: 1);
        var second = Node(2, latency: 90);

        var choice = PlacementRules.Choose(Needs(first.NodeId), [first, second], new PlacementOptions(), false);

        Assert.Equal(second, choice.Node);
        Assert.Contains("failed there", choice.Decision.Candidates.Single(candidate => candidate.NodeId == first.NodeId).RefusedBecause, StringComparison.Ordinal);
        Assert.False(PlacementRules.CouldRun(Needs(first.NodeId), first, false));
        Assert.True(PlacementRules.CouldRun(Needs(first.NodeId), second with { Live = false, FreeSlots = 0 }, false));
    }

    [Fact]
    public void Runners_without_isolation_are_for_development_only()
    {
        var node = Node(1, latency: 1) with { Capabilities = Node(1, 1).Capabilities with { Runner = "process" } };

        Assert.Null(PlacementRules.Choose(Needs(), [node], new PlacementOptions(), development: false).Node);
        Assert.Equal(node, PlacementRules.Choose(Needs(), [node], new PlacementOptions(), development: true).Node);
    }

    private static FleetNode Node(int id, double latency) => new(
        new NodeId(new Guid(id, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])), $"node-{id}", TenantId.New(), "key",
        new NodeCapabilities(DeviceKind.Cpu, 4, 4, 1L << 30, 1L << 30, "bubblewrap", true, true, "1"), true, 1, "hub", latency, 0, 1);

    private static bool IsFit(FleetNode node) =>
        node is { Live: true, FreeSlots: > 0, RecipientKeyId: "key", Capabilities: { DeviceKind: DeviceKind.Cpu, Runner: not "simulate", MemoryBytes: >= 1 << 20, ScratchBytes: >= 1 << 20 } };

    private static bool OracleDominates(FleetNode a, FleetNode b)
    {
        double[] Values(FleetNode node) => [node.LatencyMs ?? 50, node.EarningsShare, node.OwnerTenantId == Creator ? 0 : 40_000];
        var (x, y) = (Values(a), Values(b));
        return Enumerable.Range(0, 3).All(i => x[i] <= y[i]) && Enumerable.Range(0, 3).Any(i => x[i] < y[i]);
    }
}
