using System.Diagnostics.Metrics;
using RenderTrust.Contracts;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Timings;

/// <summary>
/// The five budgets as histograms in seconds, on <c>/metrics</c> and by OTLP: the gateway's figures come here too, so one place has them all.
/// <c>control_plane</c> is the sum of a unit's four: its job's submission and the unit's own dispatch, return and ledger. It is known for units whose result
/// a client followed, and whose figures all reached this process.
/// </summary>
internal sealed class BudgetHistograms
{
    // Bounds units of which some figure never comes: nobody followed the result, or another replica has it.
    private const int MostOpen = 20_000;

    // The limits of the budgets (5, 50, 80 and 215 ms) are bounds, with enough around them to tell how near a figure is.
    private static readonly InstrumentAdvice<double> Bounds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.035, 0.05, 0.065, 0.08, 0.1, 0.125, 0.15, 0.18, 0.215, 0.3, 0.5, 1, 2.5, 5, 10],
    };

    private static readonly Meter Meter = new(TelemetryNames.Meter);
    private static readonly Histogram<double> ControlPlane = Make("control_plane", "Submit, dispatch, return and ledger of one unit. Limit at p95: 0.215 s.");
    private static readonly Dictionary<string, Histogram<double>> ByName = new()
    {
        ["submit"] = Make("submit", "Request in at the gateway to task id flushed. Limit at p95: 0.05 s."),
        ["dispatch"] = Make("dispatch", "Commit of what makes a unit ready to its lease acknowledged by the node's stream. Limit at p95: 0.08 s."),
        ["return"] = Make("return", "Result frame in at the hub to artifact event flushed. Limit at p95: 0.08 s."),
        ["ledgerHandover"] = Make("ledger", "What a request path waits to hand over to ledger and metrics. Limit at p95: 0.005 s."),
    };

    private readonly Lock access = new();
    private readonly Dictionary<TaskId, double> submits = [];
    private readonly Dictionary<(TaskId Task, int Unit), (double? Dispatch, double? Return, double? Ledger)> open = [];

    /// <summary>A figure that nobody knows is left out: the set of names is the contract.</summary>
    public void Record(Timing timing)
    {
        if (!ByName.TryGetValue(timing.Name, out var histogram))
        {
            return;
        }

        histogram.Record(timing.Milliseconds / 1000);
        lock (access)
        {
            if (Complete(timing) is { } sumMs)
            {
                ControlPlane.Record(sumMs / 1000);
            }
        }
    }

    private double? Complete(Timing timing)
    {
        if (timing.UnitIndex is not { } index)
        {
            if (timing.Name == "submit")
            {
                Bound(submits);
                submits[timing.TaskId] = timing.Milliseconds;
            }

            return null;
        }

        var key = (timing.TaskId, index);
        Bound(open);
        var unit = open.GetValueOrDefault(key);
        unit = timing.Name switch
        {
            "dispatch" => unit with { Dispatch = timing.Milliseconds },
            "return" => unit with { Return = timing.Milliseconds },
            _ => unit with { Ledger = timing.Milliseconds },
        };
        if (unit is { Dispatch: { } dispatch, Return: { } back, Ledger: { } ledger } && submits.TryGetValue(timing.TaskId, out var submit))
        {
            open.Remove(key);
            return submit + dispatch + back + ledger;
        }

        open[key] = unit;
        return null;
    }

    private static void Bound<TKey, TValue>(Dictionary<TKey, TValue> kept)
        where TKey : notnull
    {
        if (kept.Count >= MostOpen)
        {
            kept.Clear();
        }
    }

    private static Histogram<double> Make(string name, string description) =>
        Meter.CreateHistogram("rendertrust.budget." + name, "s", description, tags: null, Bounds);
}
