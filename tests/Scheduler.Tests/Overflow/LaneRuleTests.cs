using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Placement;

namespace RenderTrust.Scheduler.Tests.Overflow;

/// <summary>Who takes which lane, over values.</summary>
public sealed class LaneRuleTests
{
    private static readonly NodeCapabilities Capable = new(DeviceKind.Cpu, 4, 4, 1L << 32, 1L << 32, "bubblewrap", true, true, "1");

    [Theory]
    [InlineData(UnitLane.Fleet)]
    [InlineData(UnitLane.Overflow)]
    internal void A_unit_is_placed_on_a_node_of_its_own_lane_and_the_trace_says_why_the_others_were_not(UnitLane lane)
    {
        FleetNode[] nodes = [Node("fleet-1", UnitLane.Fleet), Node("overflow-1", UnitLane.Overflow)];

        var choice = PlacementRules.Choose(Needs(lane), nodes, new PlacementOptions(), development: false);

        Assert.Equal(lane, choice.Node!.Lane);
        Assert.Equal(
            lane == UnitLane.Fleet ? "is an overflow node, and the unit is in the fleet's lane" : "is of the fleet, and the unit has overflowed",
            choice.Decision.Candidates.Single(candidate => !candidate.Chosen).RefusedBecause);
        Assert.Equal(lane == UnitLane.Overflow, choice.Decision.Explanation.StartsWith("The unit overflowed.", StringComparison.Ordinal));
    }

    [Fact]
    public void A_unit_that_overflowed_waits_for_capacity_while_no_agent_runs()
    {
        var choice = PlacementRules.Choose(Needs(UnitLane.Overflow), [Node("fleet-1", UnitLane.Fleet)], new PlacementOptions(), development: false);

        Assert.Null(choice.Node);
        Assert.Equal(WaitingFor.Capacity, choice.WaitingFor);
        Assert.Contains("until the platform has started an agent", choice.Decision.Explanation, StringComparison.Ordinal);
    }

    [Fact]
    public void A_fleet_unit_does_not_count_on_overflow_nodes()
    {
        var overflow = Node("overflow-1", UnitLane.Overflow);

        var choice = PlacementRules.Choose(Needs(UnitLane.Fleet), [overflow], new PlacementOptions(), development: false);

        Assert.Equal((null, WaitingFor.Recipients), (choice.Node, choice.WaitingFor));
        Assert.False(PlacementRules.CouldRun(Needs(UnitLane.Fleet), overflow, development: false));
        Assert.True(PlacementRules.CouldRun(Needs(UnitLane.Overflow), overflow, development: false));
    }

    [Fact]
    public void An_overflow_node_on_which_the_unit_failed_stays_out()
    {
        var (failed, other) = (Node("overflow-1", UnitLane.Overflow), Node("overflow-2", UnitLane.Overflow));

        var choice = PlacementRules.Choose(Needs(UnitLane.Overflow, failed.NodeId), [failed, other], new PlacementOptions(), development: false);

        Assert.Equal(other.NodeId, choice.Node!.NodeId);
    }

    private static FleetNode Node(string name, UnitLane lane) =>
        new(NodeId.New(), name, TenantId.New(), "key", Capable, Live: true, 1, "hub", 1, 0, FreeSlots: 1, Lane: lane);

    private static UnitNeeds Needs(UnitLane lane, params NodeId[] failedOn) =>
        new(TenantId.New(), DeviceKind.Cpu, 1, 1, 1, new HashSet<string> { "key" }, failedOn.ToHashSet(), new Dictionary<NodeId, string>(), lane);
}
