using RenderTrust.TestKit;

namespace RenderTrust.Architecture.Tests;

/// <summary>What the test suites of this machine share.</summary>
public sealed class TestPortTests
{
    [Fact]
    public void Two_claims_that_begin_at_the_same_place_have_no_port_in_common()
    {
        using var one = PortSlice.Claim(start: 7);
        using var two = PortSlice.Claim(start: 7);

        Assert.Empty(one.Ports.Intersect(two.Ports));
    }

    [Fact]
    public void A_port_is_given_once_also_past_the_first_slice()
    {
        var ports = Enumerable.Range(0, 250).Select(_ => TestPorts.Free()).ToList();

        Assert.Equal(ports.Count, ports.Distinct().Count());
        Assert.All(ports, port => Assert.InRange(port, 12_000, 31_999));
    }
}
