using CsCheck;
using NBomber.CSharp;
using NBomber.Running;

namespace RenderTrust.NBomber.Tests.Running;

public sealed class RecorderTests
{
    [Fact]
    public void Percentiles_agree_with_sorted_values_to_a_thousandth()
    {
        Gen.Int[1, 5_000_000].Array[1, 2_000].Sample(microseconds =>
        {
            var recorder = new Recorder();
            foreach (var value in microseconds)
            {
                recorder.Add(Response.Ok(), TimeSpan.FromMicroseconds(value));
            }

            var latency = recorder.Build(TimeSpan.FromSeconds(1), microseconds.Length).Latency;
            var sorted = microseconds.Order().ToArray();
            foreach (var (percent, measured) in new[] { (50, latency.Percent50), (75, latency.Percent75), (95, latency.Percent95), (99, latency.Percent99) })
            {
                // The nearest rank, as the histogram counts it.
                var exact = sorted[Math.Max(1, (int)((percent / 100.0 * sorted.Length) + 0.5)) - 1] / 1000.0;

                // Half a hundredth is the rounding of the answer, a thousandth that of the histogram.
                Assert.InRange(measured, exact - 0.011 - (exact / 1000), exact + 0.011 + (exact / 1000));
            }

            Assert.Equal(Math.Round(sorted[0] / 1000.0, 2), latency.MinMs);
            Assert.Equal(Math.Round(sorted[^1] / 1000.0, 2), latency.MaxMs);
        }, iter: 100);
    }

    [Fact]
    public void A_custom_latency_replaces_the_measured_one()
    {
        var recorder = new Recorder();

        recorder.Add(Response.Ok(customLatencyMs: 900), TimeSpan.FromMilliseconds(1));

        var latency = recorder.Build(TimeSpan.FromSeconds(1), 1).Latency;
        Assert.Equal((900, 1), (latency.MaxMs, latency.LatencyCount.More800Less1200));
    }

    [Fact]
    public void Rates_are_over_a_second_at_least()
    {
        var recorder = new Recorder();
        recorder.Add(Response.Ok(), TimeSpan.FromMilliseconds(1));

        Assert.Equal(1, recorder.Build(TimeSpan.FromMilliseconds(10), 1).Request.RPS);
        Assert.Equal(0.3, recorder.Build(TimeSpan.FromSeconds(3), 1).Request.RPS);
    }
}
