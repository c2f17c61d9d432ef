using NBomber.Contracts;

namespace NBomber.Running;

/// <summary>When how much load runs: rules over values.</summary>
internal static class Schedule
{
    /// <summary>The open model: how many copies begin in the interval that starts then.</summary>
    /// <param name="simulation">An open one.</param>
    /// <param name="rateBefore">Of the simulation before it, where a ramp starts.</param>
    /// <param name="random">Random number from the first and below the second.</param>
    public static IEnumerable<(TimeSpan At, int Count)> Releases(LoadSimulation simulation, int rateBefore, Func<int, int, int> random)
    {
        if (simulation.Kind == SimulationKind.IterationsForInject)
        {
            for (var (at, left) = (TimeSpan.Zero, simulation.Iterations); left > 0; at += simulation.Interval, left -= simulation.Rate)
            {
                yield return (at, Math.Min(left, simulation.Rate));
            }

            yield break;
        }

        for (var at = TimeSpan.Zero; at < simulation.During; at += simulation.Interval)
        {
            yield return (at, simulation.Kind switch
            {
                SimulationKind.RampingInject => Ramp(rateBefore, simulation.Rate, at, simulation.During),
                SimulationKind.InjectRandom => random(simulation.LeastRate, simulation.Rate),
                _ => simulation.Rate,
            });
        }
    }

    /// <summary>The closed model: how many copies run at that time.</summary>
    public static int CopiesAt(LoadSimulation simulation, int copiesBefore, TimeSpan elapsed) =>
        simulation.Kind == SimulationKind.RampingConstant ? Ramp(copiesBefore, simulation.Copies, elapsed, simulation.During) : simulation.Copies;

    /// <summary>In steps of whole percents of the time.</summary>
    public static int Ramp(int before, int goal, TimeSpan elapsed, TimeSpan during) =>
        (int)Math.Round(before + ((goal - before) * Math.Floor(Math.Min(1, elapsed / during) * 100) / 100));

    /// <summary>Planned time; that of an end by count of iterations at a rate is the time of its releases, and unknown (zero) for constant copies.</summary>
    public static TimeSpan Planned(LoadSimulation simulation) => simulation.Kind == SimulationKind.IterationsForInject
        ? simulation.Interval * Math.Ceiling((double)simulation.Iterations / simulation.Rate)
        : simulation.During;

    public static string NameOf(SimulationKind kind) => kind switch
    {
        SimulationKind.RampingConstant => "ramping_constant",
        SimulationKind.KeepConstant => "keep_constant",
        SimulationKind.RampingInject => "ramping_inject",
        SimulationKind.Inject => "inject",
        SimulationKind.InjectRandom => "inject_random",
        SimulationKind.Pause => "pause",
        SimulationKind.IterationsForConstant => "iterations_for_constant",
        _ => "iterations_for_inject",
    };
}
