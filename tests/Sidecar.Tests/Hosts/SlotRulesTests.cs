using RenderTrust.Sidecar.Hosts;

namespace RenderTrust.Sidecar.Tests.Hosts;

public sealed class SlotRulesTests
{
    private static readonly Guid Self = Guid.CreateVersion7();
    private static readonly Guid Other = Guid.CreateVersion7();
    private static readonly HashSet<short> NoneBusy = [];

    [Fact]
    public void A_host_alone_claims_everything_that_is_free()
    {
        var (claim, handOver) = SlotRules.Decide([], Self, hosts: 1, isHosted: true, NoneBusy);

        Assert.Equal(SlotRules.Count, claim.Length);
        Assert.Empty(handOver);
    }

    [Theory]
    [InlineData(2, 32)]
    [InlineData(3, 42)]
    public void Of_more_than_its_share_it_hands_over_the_rest(int hosts, int rest)
    {
        var (claim, handOver) = SlotRules.Decide(OwnedBy(Self, SlotRules.Count), Self, hosts, isHosted: true, NoneBusy);

        Assert.Empty(claim);
        Assert.Equal(rest, handOver.Length);
    }

    [Fact]
    public void It_claims_no_more_than_its_share_and_no_slot_in_which_an_earlier_turn_still_runs()
    {
        var (claim, _) = SlotRules.Decide(OwnedBy(Self, 30), Self, hosts: 2, isHosted: true, new HashSet<short> { 30, 31 });

        Assert.Equal([32, 33], claim.Select(slot => (int)slot));
    }

    [Fact]
    public void What_another_host_owns_is_not_claimed()
    {
        var (claim, handOver) = SlotRules.Decide(OwnedBy(Other, SlotRules.Count), Self, hosts: 2, isHosted: true, NoneBusy);

        Assert.Empty(claim);
        Assert.Empty(handOver);
    }

    [Fact]
    public void Without_the_type_it_hands_over_all_it_has()
    {
        var (claim, handOver) = SlotRules.Decide(OwnedBy(Self, 5), Self, hosts: 0, isHosted: false, NoneBusy);

        Assert.Empty(claim);
        Assert.Equal(5, handOver.Length);
    }

    [Theory]
    [InlineData("", 25)]
    [InlineData("a", 32)]
    [InlineData("node-17", 1)]
    [InlineData("Großraum/7", 40)]
    public void An_actor_keeps_its_slot_in_every_version(string actorId, short slot) => Assert.Equal(slot, SlotRules.SlotOf(actorId));

    private static Guid?[] OwnedBy(Guid owner, int count) => [.. Enumerable.Range(0, SlotRules.Count).Select(slot => slot < count ? owner : (Guid?)null)];
}
