using NBomber.Contracts;
using NBomber.CSharp;
using NBomber.Running;

namespace RenderTrust.NBomber.Tests.Running;

public sealed class ScheduleTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void A_rate_is_released_in_every_interval_of_its_time()
    {
        Assert.Equal([(0.0, 7), (1.0, 7), (2.0, 7)], Releases(Simulation.Inject(rate: 7, interval: Second, during: 3 * Second)));
    }

    [Fact]
    public void A_ramp_begins_at_the_rate_before_it()
    {
        Assert.Equal([0, 10, 20, 30], Releases(Simulation.RampingInject(rate: 40, interval: Second, during: 4 * Second)).Select(release => release.Count));
        Assert.Equal([40, 30, 20, 10], Releases(Simulation.RampingInject(rate: 0, interval: Second, during: 4 * Second), before: 40).Select(release => release.Count));
    }

    [Fact]
    public void Counted_releases_end_with_what_is_left()
    {
        Assert.Equal([5, 5, 2], Releases(Simulation.IterationsForInject(rate: 5, interval: Second, iterations: 12)).Select(release => release.Count));
    }

    [Fact]
    public void A_random_rate_never_reaches_its_upper_end()
    {
        Assert.All(Releases(Simulation.InjectRandom(minRate: 2, maxRate: 4, interval: Second, during: 200 * Second)), release => Assert.InRange(release.Count, 2, 3));
    }

    [Theory]
    [InlineData(0, 10)]
    [InlineData(5, 15)]
    [InlineData(10, 20)]
    [InlineData(99, 20)]
    public void Constant_copies_ramp_from_what_ran_before(int elapsedSeconds, int copies)
    {
        Assert.Equal(copies, Schedule.CopiesAt(Simulation.RampingConstant(copies: 20, during: 10 * Second), copiesBefore: 10, elapsedSeconds * Second));
    }

    private static List<(double At, int Count)> Releases(LoadSimulation simulation, int before = 0) =>
        [.. Schedule.Releases(simulation, before, Random.Shared.Next).Select(release => (release.At.TotalSeconds, release.Count))];
}
