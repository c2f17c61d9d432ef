using System.Diagnostics.Metrics;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Timings;

namespace RenderTrust.Scheduler.Tests.Traces;

public sealed class BudgetHistogramTests
{
    [Fact]
    public void Each_figure_goes_to_its_histogram_in_seconds_and_a_units_four_make_the_control_plane()
    {
        var seen = new List<(string Name, double Seconds)>();
        using var listener = Listen(seen);
        var histograms = new BudgetHistograms();
        var task = TaskId.New();

        histograms.Record(new Timing(task, "submit", 20));
        histograms.Record(new Timing(task, "dispatch", 40, 0));
        histograms.Record(new Timing(task, "ledgerHandover", 2, 0));
        histograms.Record(new Timing(task, "dispatch", 45, 1));
        histograms.Record(new Timing(task, "return", 30, 0));
        histograms.Record(new Timing(task, "return", 31, 0));
        histograms.Record(new Timing(task, "unheard of", 1));

        Assert.Equal(
            [
                ("rendertrust.budget.submit", 0.020), ("rendertrust.budget.dispatch", 0.040), ("rendertrust.budget.ledger", 0.002), ("rendertrust.budget.dispatch", 0.045),
                ("rendertrust.budget.return", 0.030), ("rendertrust.budget.control_plane", 0.092), ("rendertrust.budget.return", 0.031),
            ],
            seen.Select(figure => (figure.Name, Math.Round(figure.Seconds, 6))));
    }

    private static MeterListener Listen(List<(string Name, double Seconds)> seen)
    {
        // Figures of hosts that run beside this test go to the same instruments, from other threads.
        var mine = Environment.CurrentManagedThreadId;
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name.StartsWith("rendertrust.budget.", StringComparison.Ordinal))
                {
                    Assert.Equal("s", instrument.Unit);
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) =>
        {
            if (Environment.CurrentManagedThreadId == mine)
            {
                seen.Add((instrument.Name, value));
            }
        });
        listener.Start();
        return listener;
    }
}
